import { endHostTools, toolsOf } from '../host/host-tool.ts';
import { findDiskDevice } from '../root/disk-traffic.ts';
import { cgroupOf } from '../root/layout.ts';
import { waitUntilReleased } from '../root/loop-devices.ts';
import { removeFolder } from '../root/remove-folder.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { removeRuntimeState } from './runtime-state.ts';

/**
 * Ends what is left of a sandbox but its folder. Every object is found by its name, none through memory or the record, so it
 * works from any half-made or half-destroyed state. Tools first, for they could make new objects; then the processes, with
 * which the mount namespace and all its mounts go. False when a mount of somebody else's still holds the disk.
 */
export async function endSandbox(host: Host, sandboxId: string, directory: string): Promise<boolean> {
  const layout = layoutOf(host.instance, sandboxId, directory);
  await endHostTools(toolsOf(host, sandboxId));
  await endProcesses(host, sandboxId);
  const released = await waitUntilReleased(layout.image, findDiskDevice(layout));
  if (!released) host.logger.warn({ sandboxId }, 'a foreign mount namespace holds the disk of a sandbox');
  await removeFolder(layout.rootfs);
  return released;
}

/**
 * Ends every process of a sandbox and lets runsc forget it. By control group: runsc's own `delete` waits until pid 1 has
 * collected what it killed, which takes a second and a half where that is slow.
 */
export async function endProcesses(host: Host, sandboxId: string): Promise<void> {
  const cgroup = cgroupOf(host.instance, sandboxId);
  await host.cgroups.kill(cgroup);
  await removeRuntimeState(host.instance, sandboxId);
  await host.cgroups.remove(cgroup);
}
