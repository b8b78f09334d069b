import { statfsSync } from 'node:fs';
import { SoulBoxError } from '@soulbox/base';
import type { ResourceSample, SandboxInstance } from '../driver.ts';
import { readDiskTraffic } from './disk-traffic.ts';
import type { Host } from './host.ts';
import { initRuns } from './init-process.ts';
import { cgroupOf, layoutOf } from './layout.ts';

/**
 * Throws `sandbox_not_found` when it does not run.
 *
 * Reads what a sandbox has used, from some pseudo files. Synchronous reads, because none of them waits and one
 * asynchronous read costs as much CPU as all of these.
 */
export function sampleSandbox(host: Host, instance: SandboxInstance): ResourceSample {
  const layout = layoutOf(host.instance, instance.sandboxId, instance.directory);
  if (!initRuns(instance))
    throw new SoulBoxError('sandbox_not_found', `Sandbox ${instance.sandboxId} does not run any more.`);
  // Its disk is mounted nowhere else. statfs follows nothing in there, and nothing in there can make it wait.
  const space = statfsSync(`/proc/${instance.initPid}/root`);
  return {
    ...host.cgroups.readUsage(cgroupOf(host.instance, instance.sandboxId)),
    diskTotalBytes: space.blocks * space.bsize,
    diskUsedBytes: (space.blocks - space.bfree) * space.bsize,
    ...readDiskTraffic(layout),
  };
}
