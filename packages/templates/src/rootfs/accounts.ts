/** A line of passwd(5). */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** Parses passwd(5) text; malformed lines are skipped, as in libc. */
export function parsePasswd(text: string): Account[] {
  return rows(text, 7).flatMap(([name = '', , uid = '', gid = '', , home = '', shell = '']) =>
    isId(uid) && isId(gid) ? [{ name, uid: Number(uid), gid: Number(gid), home, shell }] : [],
  );
}

/** Group ids by name, from group(5) text. */
export function parseGroup(text: string): Map<string, number> {
  return new Map(rows(text, 4).flatMap(([name = '', , gid = '']) => (isId(gid) ? [[name, Number(gid)] as const] : [])));
}

/** Adds `member` to a group of group(5) text; unchanged if there is no such group or it is a member already. */
export function addToGroup(text: string, group: string, member: string): string {
  const lines = text.split('\n').map((line) => {
    const fields = line.split(':');
    if (fields[0] !== group || fields.length !== 4) return line;
    const members = (fields[3] ?? '').split(',').filter((name) => name !== '');
    if (members.includes(member)) return line;
    return [...fields.slice(0, 3), [...members, member].join(',')].join(':');
  });
  return lines.join('\n');
}

/** The text with one more line, whether or not it ended with a newline. */
export function addLine(text: string, line: string): string {
  return `${text === '' || text.endsWith('\n') ? text : `${text}\n`}${line}\n`;
}

/** The first id from 1000 on that is not in use. */
export function firstFreeId(taken: ReadonlySet<number>): number {
  let id = 1000;
  while (taken.has(id)) id += 1;
  return id;
}

function rows(text: string, fieldCount: number): string[][] {
  return text
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length === fieldCount && fields[0] !== '');
}

const isId = (text: string): boolean => /^[0-9]{1,10}$/.test(text);
