import { chmod, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { waitUntilReleased } from './loop-devices.ts';

/** Flushes a file, or the names in a folder, to the host's disk. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Moves the image of a suspended sandbox to `layer`, where it is never written again. Throws `internal` while it is in use. */
export async function moveDisk(image: string, layer: string): Promise<void> {
  if (!(await waitUntilReleased(image, undefined)))
    throw new SoulBoxError('internal', `The disk ${image} is still mounted; it cannot become a layer.`);
  await chmod(image, 0o400);
  await rename(image, layer);
  for (const folder of [dirname(image), dirname(layer)]) await flush(folder);
}
