import { truncate } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import { endHostTools, toolsOf } from '../host/host-tool.ts';
import { findDiskDevice } from '../root/disk-traffic.ts';
import { keepOnlyDisk } from '../root/kept-disk.ts';
import { waitUntilReleased } from '../root/loop-devices.ts';
import { removeFolder } from '../root/remove-folder.ts';
import type { OciRuntime } from './oci-runtime.ts';

type Ending = Pick<OciRuntime, 'host' | 'layoutOf' | 'endProcesses'>;

/** Removes everything that exists of a sandbox. The folder comes last: while it exists, the rest can be found again. */
export async function destroySandbox(runtime: Ending, sandboxId: string, directory: string): Promise<void> {
  const released = await endSandbox(runtime, sandboxId, directory);
  // At least its space is freed.
  if (!released) await truncate(runtime.layoutOf(sandboxId, directory).image, 0).catch(() => undefined);
  await removeFolder(directory);
}

/** Ends a sandbox except for its disk. Throws `internal` while a mount of another owner holds the disk. */
export async function suspendSandbox(runtime: Ending, sandboxId: string, directory: string): Promise<void> {
  if (!(await endSandbox(runtime, sandboxId, directory)))
    throw new SoulBoxError('internal', `The disk of sandbox "${sandboxId}" is still in use.`);
  await keepOnlyDisk(runtime.layoutOf(sandboxId, directory).image, directory);
}

/**
 * Ends all that is left of a sandbox except its folder. Every object is found by its name, none through memory or the
 * record, so it works from any half-created or half-destroyed state. Tools come first, because they could create new
 * objects; then the processes, whose end also removes the mount namespace and all its mounts. False if a mount of
 * another owner still holds the disk.
 */
async function endSandbox(runtime: Ending, sandboxId: string, directory: string): Promise<boolean> {
  const { host } = runtime;
  const layout = runtime.layoutOf(sandboxId, directory);
  await endHostTools(toolsOf(host, sandboxId));
  await runtime.endProcesses(sandboxId, directory);
  const released = await waitUntilReleased(layout.image, findDiskDevice(layout));
  if (!released) host.logger.warn({ sandboxId }, 'a foreign mount namespace holds the disk of a sandbox');
  await removeFolder(layout.rootfs);
  return released;
}
