import { isAbsolute } from 'node:path';
import { run } from './run.ts';

/**
 * Deletes a folder with its contents; does nothing if it does not exist. It never follows a link and never enters
 * another file system, so a mount that was left inside causes an error instead of a disaster.
 */
export async function removeTree(path: string): Promise<void> {
  if (!isAbsolute(path) || path === '/') throw new TypeError(`removeTree needs an absolute path, not ${path}`);
  await run('rm', ['-rf', '--one-file-system', '--', path], { timeoutMs: 600_000 });
}
