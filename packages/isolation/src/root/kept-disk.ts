import { chmod, open, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { waitUntilReleased } from './loop-devices.ts';
import { ranMarkName } from './layout.ts';
import { removeFolder } from './remove-folder.ts';

/** Flushes a file, or the names in a folder, to the host's disk. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Moves the image of a suspended sandbox to `layer`, where it is never written again. Throws `internal` while it is in
 * use.
 */
export async function moveDisk(image: string, layer: string): Promise<void> {
  if (!(await waitUntilReleased(image, undefined)))
    throw new SoulBoxError('internal', `The disk ${image} cannot become a layer because it is still mounted.`);
  await chmod(image, 0o400);
  await rename(image, layer);
  for (const folder of [dirname(image), dirname(layer)]) await flush(folder);
}

/**
 * Removes everything from the folder of an ended sandbox except the image, which is flushed, and the mark beside it.
 */
export async function keepOnlyDisk(image: string, directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [] as string[]))
    if (name !== basename(image) && name !== ranMarkName) await removeFolder(join(directory, name));
  try {
    await flush(image);
    await flush(directory);
  } catch (error) {
    // A sandbox that never had a disk has none to keep.
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  }
}
