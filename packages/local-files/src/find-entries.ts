import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { LocalFilesError, localFilesError } from './local-files-error.ts';

export interface LocalEntry {
  /** Relative, with slashes. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link';
  readonly mode: number;
  /** Of a file, in bytes; otherwise 0. */
  readonly size: number;
  /** Of a link; otherwise empty. */
  readonly target: string;
}

const maxEntries = 200_000;

/**
 * A file or folder below the root, with all that it contains and the folders that lead to it, in order of their names.
 * Links stay links. Sockets, pipes and devices are left out. Throws LocalFilesError.
 */
export async function findEntries(
  root: string,
  source: string,
  isIgnored: (path: string) => boolean,
): Promise<LocalEntry[]> {
  const found: LocalEntry[] = [];
  const add = async (path: string): Promise<void> => {
    const place = join(root, path);
    const stats = await lstat(place);
    const kind = kindOf(stats);
    if (kind === undefined) return;
    const [size, target] = [kind === 'file' ? stats.size : 0, kind === 'link' ? await readlink(place) : ''];
    // What is ignored may contain what is not: it is a part of the archive only with contents.
    if (path !== '' && !isIgnored(path)) found.push({ path, kind, mode: stats.mode & 0o777, size, target });
    if (found.length > maxEntries) throw new LocalFilesError(`${root} has more than ${maxEntries} entries.`);
    if (kind !== 'folder' || (path !== '' && isIgnored(path))) return;
    for (const name of (await readdir(place)).sort()) await add(posix.join(path, name));
  };
  const path = sourcePath(source);
  try {
    await add(path);
  } catch (error) {
    throw localFilesError(source, error);
  }
  if (path !== '' && found.length === 0) throw new LocalFilesError(`${JSON.stringify(source)} is ignored.`);
  return found;
}

function kindOf(stats: Stats): LocalEntry['kind'] | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'folder';
  return stats.isSymbolicLink() ? 'link' : undefined;
}

/** Empty for the root itself. */
function sourcePath(source: string): string {
  const parts = source.split(/[/\\]/).filter((part) => part !== '' && part !== '.');
  if (/^([/\\]|[A-Za-z]:)/.test(source) || parts.includes('..'))
    throw new LocalFilesError(`${JSON.stringify(source)} is outside the folder of the build.`);
  if (/[*?[\]{}]/.test(source))
    throw new LocalFilesError(`${JSON.stringify(source)} is a pattern. Name a file or a folder.`);
  return parts.join('/');
}
