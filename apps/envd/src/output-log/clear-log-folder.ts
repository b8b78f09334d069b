import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Removes the files of processes that ran before envd started, in an earlier life of the disk. Never throws. */
export async function clearLogFolder(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names) await unlink(join(directory, name)).catch(() => undefined);
}
