import { rm, truncate } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import { findDiskDevice } from './disk-traffic.ts';
import type { Host } from './host.ts';
import { endHostTools } from './host-tool.ts';
import type { SandboxLayout } from './layout.ts';
import { cgroupOf, layoutOf, traceName } from './layout.ts';
import { isLoopDevice, waitUntilReleased } from './loop-devices.ts';
import { findMountsBelow, unmountAll } from './mounts.ts';
import { findRecord } from './record.ts';
import { runtimeStateOf } from './start.ts';

/**
 * Removes whatever there is of a sandbox. Every object is found by its name, none through memory or the record, so it
 * works from any half-made or half-destroyed state. What must not outlive what: tools could make new objects, processes
 * keep mounts busy, mounts hold files of the folder. The folder goes last: while it stands, the rest is found again.
 */
export async function destroySandbox(host: Host, sandboxId: string, directory: string): Promise<void> {
  const layout = layoutOf(host.instance, sandboxId, directory);
  const tool = { directory: '/', traceName: traceName(host.instance, sandboxId) };
  const cgroup = cgroupOf(host.instance, sandboxId);
  const record = await findRecord(layout.record);
  if (record?.state !== 'running') await endHostTools(tool.traceName);
  await host.cgroups.kill(cgroup);
  const device = findMountsBelow(directory).find(isLoopDevice)?.device ?? findDiskDevice(layout);
  await unmountAll(directory, layout, tool);
  if (device !== undefined && !(await waitUntilReleased(device, directory))) await giveUpDisk(host, sandboxId, layout);
  await removeFolder(layout.rootfs);
  await rm(runtimeStateOf(host, sandboxId), { recursive: true, force: true });
  await host.cgroups.remove(cgroup);
  await removeFolder(directory);
}

/** A foreign mount namespace, copied while the sandbox was being made, still holds the disk: its space is freed anyhow. */
async function giveUpDisk(host: Host, sandboxId: string, layout: SandboxLayout): Promise<void> {
  host.logger.warn({ sandboxId }, 'loop device of a sandbox is held by another mount namespace');
  await truncate(layout.image, 0).catch(() => undefined);
}

/** The one recursive delete. It follows no link, and refuses when a mount would let it reach something else. */
async function removeFolder(directory: string): Promise<void> {
  const [mount] = findMountsBelow(directory);
  if (mount !== undefined)
    throw new SoulBoxError('internal', `${mount.mountPoint} is still mounted; the folder cannot be removed yet.`);
  await rm(directory, { recursive: true, force: true });
}
