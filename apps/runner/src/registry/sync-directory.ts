import { open } from 'node:fs/promises';

/** Flushes the names in a folder to the disk: without it a file that was renamed into it may be gone after a host crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
