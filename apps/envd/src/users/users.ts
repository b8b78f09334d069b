import { SoulBoxError } from '@soulbox/base';
import type { GroupEntry, PasswdEntry } from './parse-passwd.ts';
import { parseGroup, parsePasswd } from './parse-passwd.ts';
import { cachedFile } from './cached-file.ts';

/** A user of the root file system. */
export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/** The users of the root file system, by the current content of its files. */
export interface Users {
  /** Throws unknown_user. */
  get(name: string): User;
  has(name: string): boolean;
  /** Undefined if no user has the number. */
  findById(uid: number): User | undefined;
  /** The name, or the number as text if no user has it. */
  userName(uid: number): string;
  groupName(gid: number): string;
}

/** The kernel knows root without any file, so root also exists in an empty root file system. */
const builtInRoot: PasswdEntry = { name: 'root', uid: 0, gid: 0, home: '/root', shell: '' };

/**
 * Reads /etc/passwd and /etc/group directly. The C library is not used, because its name service would load modules and
 * read the configuration of a root file system that it was not built for.
 */
export function createUsers(): Users {
  const passwd = cachedFile('/etc/passwd', (text): readonly PasswdEntry[] => parsePasswd(text), []);
  const group = cachedFile('/etc/group', (text): readonly GroupEntry[] => parseGroup(text), []);
  const find = (name: string): PasswdEntry | undefined =>
    passwd().find((entry) => entry.name === name) ?? (name === 'root' ? builtInRoot : undefined);
  const withGroups = (entry: PasswdEntry): User => {
    const groups = group().filter(({ gid, members }) => gid === entry.gid || members.includes(entry.name));
    return { ...entry, groups: [...new Set([entry.gid, ...groups.map(({ gid }) => gid)])] };
  };
  return {
    get(name) {
      const entry = find(name);
      if (entry === undefined) throw new SoulBoxError('unknown_user', `invalid username: '${name}'`);
      return withGroups(entry);
    },
    findById(uid) {
      const entry = passwd().find((candidate) => candidate.uid === uid) ?? (uid === 0 ? builtInRoot : undefined);
      return entry === undefined ? undefined : withGroups(entry);
    },
    has: (name) => find(name) !== undefined,
    userName: (uid) => passwd().find((entry) => entry.uid === uid)?.name ?? (uid === 0 ? 'root' : String(uid)),
    groupName: (gid) => group().find((entry) => entry.gid === gid)?.name ?? (gid === 0 ? 'root' : String(gid)),
  };
}
