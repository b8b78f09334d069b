import { open } from 'node:fs/promises';

/** Flushes the names in a folder to the disk. Otherwise a file that was renamed into it may be lost in a host crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
