import { rm } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Host } from './host.ts';
import { endHostTools } from './host-tool.ts';
import { cgroupOf, layoutOf, traceName } from './layout.ts';
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
  await unmountAll(directory, layout, tool);
  await removeFolder(layout.rootfs);
  await rm(runtimeStateOf(host, sandboxId), { recursive: true, force: true });
  await host.cgroups.remove(cgroup);
  await removeFolder(directory);
}

/** The one recursive delete. It follows no link, and refuses when a mount would let it reach something else. */
async function removeFolder(directory: string): Promise<void> {
  const [mount] = findMountsBelow(directory);
  if (mount !== undefined)
    throw new SoulBoxError('internal', `${mount.mountPoint} is still mounted; the folder cannot be removed yet.`);
  await rm(directory, { recursive: true, force: true });
}
