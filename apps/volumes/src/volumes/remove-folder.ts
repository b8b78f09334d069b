import { rm } from 'node:fs/promises';

/**
 * Deletes a folder with our own files; does nothing if it does not exist. Uses no program, because this process cannot
 * start one. A reader of a volume's metadata makes files beside them for some ms (SQLite's `-wal` and `-shm`), so a
 * folder that is not empty is tried again for 0.3 s.
 */
export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 });
}
