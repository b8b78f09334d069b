import { lstat, readdir } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import type { LifeLog } from '../life-log.ts';

/** The same names as for run-parts(8): no hidden files and no backup files of editors. */
const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;
const writableByOthers = 0o022;
const executable = 0o111;

/**
 * Finds the executables of `directory`, in the order of their names. They run as root, so the folder and the files must
 * belong to root and nobody else may write them. Other files and links are skipped, and the log reports that. Without
 * the folder there are none.
 */
export async function findHooks(directory: string, log: LifeLog): Promise<readonly string[]> {
  try {
    if (!isRoots(await lstat(directory), 'directory')) {
      log.record('warn', 'resume', 'Hooks skipped: their folder must be writable by root only', { directory });
      return [];
    }
    const paths = (await readdir(directory)).filter((name) => namePattern.test(name)).toSorted();
    return await filterHooks(
      paths.map((name) => join(directory, name)),
      log,
    );
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT')
      log.record('warn', 'resume', 'Hooks cannot be listed', { cause: String(error) });
    return [];
  }
}

async function filterHooks(paths: readonly string[], log: LifeLog): Promise<string[]> {
  const hooks: string[] = [];
  for (const path of paths) {
    const stats = await lstat(path);
    if (isRoots(stats, 'file') && (stats.mode & executable) !== 0) hooks.push(path);
    else
      log.record('warn', 'resume', 'Hook skipped: it must be an executable file that is writable by root only', {
        path,
      });
  }
  return hooks;
}

function isRoots(stats: Stats, kind: 'file' | 'directory'): boolean {
  const isKind = kind === 'file' ? stats.isFile() : stats.isDirectory();
  return isKind && stats.uid === 0 && (stats.mode & writableByOthers) === 0;
}
