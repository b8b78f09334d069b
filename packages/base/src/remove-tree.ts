import { rmdir } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { isNodeError } from './error-from-node.ts';
import { run } from './run.ts';

/**
 * Deletes a folder with its contents; does nothing if it does not exist. It never follows a link and never enters
 * another file system, so a mount that was left inside causes an error instead of a disaster.
 */
export async function removeTree(path: string): Promise<void> {
  if (!isAbsolute(path) || path === '/') throw new TypeError(`removeTree needs an absolute path, not ${path}`);
  // Most folders that are deleted are absent or empty. Starting a program for them takes a hundred times as long.
  const isGone = await rmdir(path).then(
    () => true,
    (error: unknown) => isNodeError(error) && error.code === 'ENOENT',
  );
  if (isGone) return;
  await run('rm', ['-rf', '--one-file-system', '--', path], { timeoutMs: 600_000 });
}
