import { rm } from 'node:fs/promises';

/**
 * Deletes a folder with our own files, without a program, which this process cannot start; does nothing if it does not exist. Who reads a volume's metadata meanwhile makes
 * files beside them for some ms (SQLite's `-wal` and `-shm`), so a folder that is not empty is tried again for 0.3 s.
 */
export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}
