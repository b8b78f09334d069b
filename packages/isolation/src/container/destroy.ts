import { rm, truncate } from 'node:fs/promises';
import { findDiskDevice } from '../root/disk-traffic.ts';
import type { Host } from './host.ts';
import { endHostTools } from '../host/host-tool.ts';
import { cgroupOf, traceName } from '../root/layout.ts';
import { layoutOf } from './layout.ts';
import { waitUntilReleased } from '../root/loop-devices.ts';
import { removeFolder } from '../root/remove-folder.ts';
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
