import { SoulBoxError } from '@soulbox/base';
import type { ResourceSample, SandboxInstance } from '../driver.ts';
import { readDiskSpace } from '../root/disk-space.ts';
import { readDiskTraffic } from '../root/disk-traffic.ts';
import { cgroupOf } from '../root/layout.ts';
import { isSandboxAlive } from './alive.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { readRuntimeState } from './runtime-state.ts';

/**
 * Reads what a sandbox has used, from some pseudo files; synchronous, as none of them waits. Its memory counts with that of
 * gVisor's kernel. Throws `sandbox_not_found` when it does not run.
 */
export function sampleSandbox(host: Host, instance: SandboxInstance): ResourceSample {
  const { sandboxId, directory } = instance;
  if (!isSandboxAlive(host, instance))
    throw new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId}" is no longer running.`);
  return {
    ...host.cgroups.readUsage(cgroupOf(host.instance, sandboxId)),
    // Its disk is mounted nowhere else: the sandbox's kernel itself sees an empty root.
    ...readDiskSpace(`/proc/${readRuntimeState(host.instance, sandboxId).goferPid}/root`),
    ...readDiskTraffic(layoutOf(host.instance, sandboxId, directory)),
  };
}
