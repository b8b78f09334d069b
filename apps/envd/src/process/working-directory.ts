import { statSync } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import { resolvePath } from '../filesystem/resolve-path.ts';
import type { User } from '../users/users.ts';

/**
 * Where a process starts: as requested, else the default working directory, else the user's home. Throws bad_path when
 * it is missing. A user whose home was never made starts in `/`, as a login does.
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
