/** A line of /etc/passwd. */
export interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** Empty: the system's default, /bin/sh. */
  readonly shell: string;
}

/** A line of /etc/group. */
export interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** Larger ids are not valid for the kernel (the last one means "no change"). */
const maxId = 0xffff_fffe;

/** Parses `name:password:uid:gid:comment:home:shell`. Ignores other lines, like the C library. */
export function parsePasswd(text: string): PasswdEntry[] {
  const entries: PasswdEntry[] = [];
  for (const line of text.split('\n')) {
    const [name = '', , uidText, gidText, , home = '', shell = ''] = line.split(':');
    const uid = parseId(uidText);
    const gid = parseId(gidText);
    if (name === '' || name.startsWith('#') || uid === undefined || gid === undefined) continue;
    entries.push({ name, uid, gid, home: home.startsWith('/') ? home : '/', shell });
  }
  return entries;
}

/** Parses `name:password:gid:member,member`. */
export function parseGroup(text: string): GroupEntry[] {
  const entries: GroupEntry[] = [];
  for (const line of text.split('\n')) {
    const [name = '', , gidText, members = ''] = line.split(':');
    const gid = parseId(gidText);
    if (name === '' || name.startsWith('#') || gid === undefined) continue;
    entries.push({ name, gid, members: members.split(',').filter((member) => member !== '') });
  }
  return entries;
}

function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= maxId ? id : undefined;
}
