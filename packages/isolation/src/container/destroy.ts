import { rm, truncate } from 'node:fs/promises';
import { sep } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { readMounts } from '../cgroup/mounts.ts';
import { findDiskDevice } from './disk-traffic.ts';
import type { Host } from './host.ts';
import { endHostTools } from './host-tool.ts';
import { cgroupOf, layoutOf, traceName } from './layout.ts';
import { waitUntilReleased } from './loop-devices.ts';
import { findRecord } from './record.ts';
import { runtimeStateOf } from './start.ts';

/**
 * Removes whatever there is of a sandbox. Every object is found by its name, none through memory or the record, so it
 * works from any half-made or half-destroyed state. Tools first, for they could make new objects; then the processes, with
 * which the mount namespace and all its mounts go; the folder last: while it stands, the rest is found again.
 */
export async function destroySandbox(host: Host, sandboxId: string, directory: string): Promise<void> {
  const layout = layoutOf(host.instance, sandboxId, directory);
  const cgroup = cgroupOf(host.instance, sandboxId);
  const record = await findRecord(layout.record);
  if (record?.state !== 'running') await endHostTools(traceName(host.instance, sandboxId));
  await host.cgroups.kill(cgroup);
  if (!(await waitUntilReleased(layout.image, findDiskDevice(layout)))) {
    host.logger.warn({ sandboxId }, 'a foreign mount namespace holds the disk of a sandbox');
    // Its space at least.
    await truncate(layout.image, 0).catch(() => undefined);
  }
  await removeFolder(layout.rootfs);
  await rm(runtimeStateOf(host, sandboxId), { recursive: true, force: true });
  await host.cgroups.remove(cgroup);
  await removeFolder(directory);
}

/** In this process, because removeTree would cost a spawn for each end. It follows no link, and refuses when a mount would let it reach something else. */
async function removeFolder(directory: string): Promise<void> {
  const mount = readMounts().find(({ mountPoint }) => `${mountPoint}${sep}`.startsWith(directory + sep));
  if (mount !== undefined)
    throw new SoulBoxError('internal', `${mount.mountPoint} is mounted; its folder cannot be removed.`);
  await rm(directory, { recursive: true, force: true });
}
