import { SoulBoxError } from '@soulbox/base';
import type { ResourceSample, SandboxInstance } from '../driver.ts';
import { readDiskSpace } from '../root/disk-space.ts';
import { readDiskTraffic } from '../root/disk-traffic.ts';
import type { Host } from './host.ts';
import { initRuns } from '../host/init-process.ts';
import { cgroupOf } from '../root/layout.ts';
import { layoutOf } from './layout.ts';

/**
 * Throws `sandbox_not_found` when it does not run.
 *
 * Reads what a sandbox has used, from some pseudo files. Synchronous reads, because none of them waits and one
 * asynchronous read costs as much CPU as all of these.
 */
export function sampleSandbox(host: Host, instance: SandboxInstance): ResourceSample {
  const layout = layoutOf(host.instance, instance.sandboxId, instance.directory);
  if (!initRuns(instance))
    throw new SoulBoxError('sandbox_not_found', `Sandbox "${instance.sandboxId}" is no longer running.`);
  return {
    ...host.cgroups.readUsage(cgroupOf(host.instance, instance.sandboxId)),
    // Its disk is mounted nowhere else.
    ...readDiskSpace(`/proc/${instance.initPid}/root`),
    ...readDiskTraffic(layout),
  };
}
