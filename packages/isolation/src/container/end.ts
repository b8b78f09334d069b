import { rm } from 'node:fs/promises';
import { endHostTools, toolsOf } from '../host/host-tool.ts';
import { findDiskDevice } from '../root/disk-traffic.ts';
import { cgroupOf } from '../root/layout.ts';
import { waitUntilReleased } from '../root/loop-devices.ts';
import { removeFolder } from '../root/remove-folder.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { endPager } from './pager/pagers.ts';
import { runtimeStateOf } from './start.ts';

/**
 * Ends what is left of a sandbox but its folder. Every object is found by its name, none through memory or the record, so it
 * works from any half-made or half-destroyed state. Tools first, for they could make new objects; then the processes, with
 * which the mount namespace and all its mounts go; then the pager, whose end before theirs would turn missing memory into zeros
 * and which may not outlive the control group's name. False when a mount of somebody else's still holds the disk.
 */
export async function endSandbox(host: Host, sandboxId: string, directory: string): Promise<boolean> {
  const layout = layoutOf(host.instance, sandboxId, directory);
  const cgroup = cgroupOf(host.instance, sandboxId);
  await endHostTools(toolsOf(host, sandboxId));
  await host.cgroups.kill(cgroup);
  await endPager(layout.restore);
  const released = await waitUntilReleased(layout.image, findDiskDevice(layout));
  if (!released) host.logger.warn({ sandboxId }, 'a foreign mount namespace holds the disk of a sandbox');
  await removeFolder(layout.rootfs);
  await rm(runtimeStateOf(host, sandboxId), { recursive: true, force: true });
  await host.cgroups.remove(cgroup);
  return released;
}
