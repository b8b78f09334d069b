import { SoulBoxError } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';
import type { ResourceSample, SandboxInstance } from '../driver.ts';
import { readDiskSpace } from '../root/disk-space.ts';
import { readDiskOrigin, readDiskTraffic } from '../root/disk-traffic.ts';
import type { DiskOrigin } from '../root/disk-traffic.ts';
import { cgroupOf } from '../host/names.ts';
import type { OciRuntime } from './oci-runtime.ts';

export function readCpuUsed({ host }: OciRuntime, { sandboxId }: SandboxInstance, read: ReadText): number {
  return host.cgroups.readCpuUsed(cgroupOf(host.instance, sandboxId), read);
}

/**
 * Reads a sandbox's resource use from some pseudo files by `read`. The reads are synchronous, because none of them blocks
 * and one asynchronous read costs as much CPU as all of these. The memory of a sandbox's own kernel counts too. Throws
 * `sandbox_not_found` if the sandbox does not run.
 */
export function sampleSandbox(runtime: OciRuntime, instance: SandboxInstance, read: ReadText): ResourceSample {
  const { sandboxId } = instance;
  const { cgroups, instance: number } = runtime.host;
  if (!runtime.isAlive(instance, read))
    throw new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId}" is no longer running.`);
  return {
    ...cgroups.readUsage(cgroupOf(number, sandboxId), read),
    // Its disk is not mounted anywhere else.
    ...readDiskSpace(`/proc/${runtime.rootPidOf(instance)}/root`),
    ...readDiskTraffic(originOf(runtime, instance), read),
  };
}

/** It is written before a start returns the instance, and each start and restore has an instance of its own. */
const origins = new WeakMap<SandboxInstance, DiskOrigin>();

function originOf(runtime: OciRuntime, instance: SandboxInstance): DiskOrigin {
  const known = origins.get(instance);
  if (known !== undefined) return known;
  const origin = readDiskOrigin(runtime.layoutOf(instance.sandboxId, instance.directory));
  origins.set(instance, origin);
  return origin;
}
