import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isPartName, manifestName } from './names.ts';

/** CRIU makes some 10 files, and 4 for each process. */
const maxParts = 20_000;

export interface PartFile {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Inode number in the file system. */
  readonly inode: number;
}

/**
 * The parts in a checkpoint's folder, sorted by name, without the manifest. Throws an Error that names an entry which
 * cannot be a part: a folder, a link, a name of another form.
 */
export async function listPartFiles(directory: string): Promise<PartFile[]> {
  const names = (await readdir(directory)).filter((name) => name !== manifestName).sort();
  if (names.length > maxParts) throw new Error(`more than ${maxParts} parts`);
  return await Promise.all(names.map((name) => partFile(directory, name)));
}

async function partFile(directory: string, name: string): Promise<PartFile> {
  const path = join(directory, name);
  const stats = await lstat(path);
  if (!stats.isFile() || !isPartName(name)) throw new Error(`${JSON.stringify(name)} cannot be a part`);
  return { name, path, sizeBytes: stats.size, inode: stats.ino };
}
