import { SoulBoxError } from '@soulbox/base';
import type { ResourceSample, SandboxInstance } from '../driver.ts';
import { readDiskSpace } from '../root/disk-space.ts';
import { readDiskTraffic } from '../root/disk-traffic.ts';
import { cgroupOf } from '../host/names.ts';
import type { OciRuntime } from './oci-runtime.ts';

/**
 * Reads what a sandbox has used, from some pseudo files. Synchronous reads, because none of them waits and one asynchronous read costs as
 * much CPU as all of these. The memory of a kernel of the sandbox's own counts too. Throws `sandbox_not_found` when it does not run.
 */
export function sampleSandbox(runtime: OciRuntime, instance: SandboxInstance): ResourceSample {
  const { sandboxId, directory } = instance;
  const { cgroups, instance: number } = runtime.host;
  if (!runtime.isAlive(instance))
    throw new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId}" is no longer running.`);
  return {
    ...cgroups.readUsage(cgroupOf(number, sandboxId)),
    // Its disk is mounted nowhere else.
    ...readDiskSpace(`/proc/${runtime.rootPidOf(instance)}/root`),
    ...readDiskTraffic(runtime.layoutOf(sandboxId, directory)),
  };
}
