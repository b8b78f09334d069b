import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';

/**
 * Opens a regular file. Directories, devices, FIFOs and sockets are rejected with bad_path, because reading one could
 * block or continue for ever. O_NONBLOCK prevents the open itself from waiting for the other end of a FIFO.
 */
export async function openRegular(
  path: string,
  flags: number,
  mode?: number,
): Promise<{ file: FileHandle; stats: Stats }> {
  const file = await open(path, flags | constants.O_NONBLOCK | constants.O_NOCTTY, mode);
  try {
    const stats = await file.stat();
    if (stats.isDirectory()) throw new SoulBoxError('bad_path', `path '${path}' is a directory`);
    if (!stats.isFile()) throw new SoulBoxError('bad_path', `path '${path}' is not a regular file`);
    return { file, stats };
  } catch (error) {
    await file.close();
    throw error;
  }
}
