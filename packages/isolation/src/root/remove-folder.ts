import { rm } from 'node:fs/promises';
import { sep } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { readMounts } from '../cgroup/mounts.ts';

/**
 * Runs in this process, because removeTree would cost a spawn for each end of a sandbox. It follows no link, and
 * refuses if a mount would let it reach other files.
 */
export async function removeFolder(directory: string): Promise<void> {
  const mount = readMounts().find(({ mountPoint }) => `${mountPoint}${sep}`.startsWith(directory + sep));
  if (mount !== undefined)
    throw new SoulBoxError('internal', `${mount.mountPoint} cannot be removed because it is still mounted.`);
  await rm(directory, { recursive: true, force: true });
}
