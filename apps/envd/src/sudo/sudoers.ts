import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFile } from '../users/cached-file.ts';
import type { User } from '../users/users.ts';

/** sudo reads these files and no others in there (sudoers(5), including other files). */
const isIncluded = (name: string): boolean => !name.includes('.') && !name.endsWith('~');
const mainFile = '/etc/sudoers';
const folder = '/etc/sudoers.d';
/** The only rule that is understood: everything, as everybody, without a password. */
const fullRight = /^\S+\s+ALL\s*=\s*\(\s*ALL\s*(?::\s*ALL\s*)?\)\s*NOPASSWD\s*:\s*ALL$/;

/** Tells whether a user may do everything, by the rules of the root file system as they are now. */
export function createSudoers(): { mayDoEverything(user: User, groupNames: readonly string[]): boolean } {
  const files = new Map<string, () => readonly string[]>();
  const linesOf = (path: string): readonly string[] => {
    const read = files.get(path) ?? cachedFile(path, parseLines, []);
    files.set(path, read);
    return read();
  };
  return {
    mayDoEverything(user, groupNames) {
      const lines = [mainFile, ...listFolder().map((name) => join(folder, name))].flatMap(linesOf);
      return user.uid === 0 || grantsEverything(lines, user, groupNames);
    },
  };
}

/**
 * The last rule about a user counts, as in sudo. One that says anything but "everything, without a password" gives nothing
 * here: there is nobody to ask for a password, and half a right is no right to be guessed at.
 */
export function grantsEverything(
  lines: readonly string[],
  { name, uid }: Pick<User, 'name' | 'uid'>,
  groupNames: readonly string[],
): boolean {
  const names = new Set([name, `#${uid}`, 'ALL', ...groupNames.map((group) => `%${group}`)]);
  const rule = lines.findLast((line) => names.has(/^\S+/.exec(line)?.[0] ?? ''));
  return rule !== undefined && fullRight.test(rule);
}

/** Lines without comments, joined where one ends with a backslash. `#1000` begins a rule, `# ` a comment. */
export function parseLines(text: string): readonly string[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(?:^|\s)#(?!\d).*$/, '').trim())
    .filter((line) => line !== '');
}

function listFolder(): readonly string[] {
  try {
    return readdirSync(folder).filter(isIncluded).sort();
  } catch {
    return [];
  }
}
