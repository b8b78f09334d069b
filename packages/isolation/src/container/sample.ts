import { statfsSync } from 'node:fs';
import type { ResourceSample, SandboxInstance } from '../driver.ts';
import { readDiskTraffic } from './disk-traffic.ts';
import type { Host } from './host.ts';
import { cgroupOf, layoutOf } from './layout.ts';

/**
 * Reads what a sandbox has used, from some pseudo files. Synchronous reads, because none of them waits and one
 * asynchronous read costs as much CPU as all of these.
 */
export function sampleSandbox(host: Host, instance: SandboxInstance): ResourceSample {
  const layout = layoutOf(host.instance, instance.sandboxId, instance.directory);
  const space = statfsSync(layout.disk);
  return {
    ...host.cgroups.readUsage(cgroupOf(host.instance, instance.sandboxId)),
    diskTotalBytes: space.blocks * space.bsize,
    diskUsedBytes: (space.blocks - space.bfree) * space.bsize,
    ...readDiskTraffic(layout),
  };
}
