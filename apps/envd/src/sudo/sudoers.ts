import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFile } from '../users/cached-file.ts';
import type { User } from '../users/users.ts';

/** sudo reads only these files in that folder (sudoers(5), including other files). */
const isIncluded = (name: string): boolean => !name.includes('.') && !name.endsWith('~');
const mainFile = '/etc/sudoers';
const folder = '/etc/sudoers.d';
/** The only supported rule: everything, as everybody, without a password. */
const fullRight = /^\S+\s+ALL\s*=\s*\(\s*ALL\s*(?::\s*ALL\s*)?\)\s*NOPASSWD\s*:\s*ALL$/;

/** Tells whether a user may run everything, by the current rules of the root file system. */
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
 * The last rule for a user counts, as in sudo. Any rule other than "everything, without a password" grants nothing
 * here: nobody can be asked for a password, and partial permissions are not guessed.
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

/** Lines without comments, joined if one ends with a backslash. `#1000` begins a rule, `# ` a comment. */
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
