import { statSync } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import { resolvePath } from '../filesystem/resolve-path.ts';
import type { User } from '../users/users.ts';

/**
 * The working directory of a process: the requested one, otherwise the default one, otherwise the user's home. Throws
 * bad_path if it is missing. A user without an existing home starts in `/`, as at a login.
 */
export function workingDirectory(requested: string, defaultWorkdir: string | undefined, user: User): string {
  const path = resolvePath(requested, { home: user.home, workdir: defaultWorkdir ?? user.home });
  if (isDirectory(path)) return path;
  if (requested === '' && defaultWorkdir === undefined) return '/';
  throw new SoulBoxError('bad_path', `cwd '${path}' does not exist`);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
