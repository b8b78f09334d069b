import { rm } from 'node:fs/promises';
import { sep } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { readMounts } from '../cgroup/mounts.ts';

/** In this process, because removeTree would cost a spawn for each end. It follows no link, and refuses when a mount would let it reach something else. */
export async function removeFolder(directory: string): Promise<void> {
  const mount = readMounts().find(({ mountPoint }) => `${mountPoint}${sep}`.startsWith(directory + sep));
  if (mount !== undefined)
    throw new SoulBoxError('internal', `${mount.mountPoint} cannot be removed because it is still mounted.`);
  await rm(directory, { recursive: true, force: true });
}
