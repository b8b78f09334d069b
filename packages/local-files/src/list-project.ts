import { readdir, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { LocalFilesError, localFilesError } from './local-files-error.ts';

/** Version history, files that an installation recreates, and files that runs leave in sandboxes. */
const ignored = new Set(['.git', 'node_modules', '.venv', '__pycache__', '.soulbox']);
const maxFiles = 5000;
/** Limit of all files of a run together. */
export const maxProjectBytes = 256 * 1024 * 1024;

/**
 * The files of a project that a run needs, as relative paths with slashes. Only regular files: a link could lead out of
 * the folder. Throws LocalFilesError for too many.
 */
export async function listProject(root: string): Promise<string[]> {
  const files: string[] = [];
  let bytes = 0;
  const walk = async (below: string): Promise<void> => {
    for (const item of await readdir(join(root, below), { withFileTypes: true })) {
      if (ignored.has(item.name)) continue;
      const path = posix.join(below, item.name);
      if (item.isDirectory()) await walk(path);
      if (!item.isFile()) continue;
      files.push(path);
      bytes += (await stat(join(root, path))).size;
      if (files.length > maxFiles) throw new LocalFilesError(`${root} has more than ${maxFiles} files.`);
      if (bytes > maxProjectBytes) throw new LocalFilesError(`The files of ${root} exceed ${maxProjectBytes} bytes.`);
    }
  };
  try {
    await walk('');
  } catch (error) {
    throw localFilesError(root, error);
  }
  return files;
}
