import { openCgroups } from '../cgroup/cgroups.ts';
import { cgroupParent } from './layout.ts';

/**
 * Limits the CPU time of all sandboxes of an instance together, in CPUs; Infinity is no limit. Holds until the next call, for
 * sandboxes that run already too. Throws `host_not_ready`.
 */
export async function limitSandboxesTogether(instance: number, cpus: number): Promise<void> {
  await openCgroups().limitTogether(cgroupParent(instance), cpus);
}
