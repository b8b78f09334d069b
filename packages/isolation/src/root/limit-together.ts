import { isNodeError, SoulBoxError } from '@soulbox/base';
import { openCgroups } from '../cgroup/open-cgroups.ts';
import { cgroupParent } from '../host/names.ts';

/**
 * Limits the CPU time of all sandboxes of an instance together, in CPUs; Infinity is no limit. Applies until the next
 * call, also to sandboxes that already run. Throws `host_not_ready`.
 */
export async function limitSandboxesTogether(instance: number, cpus: number): Promise<void> {
  const parent = cgroupParent(instance);
  try {
    await openCgroups().limitTogether(parent, cpus);
  } catch (error) {
    if (!isNodeError(error)) throw error;
    throw new SoulBoxError(
      'host_not_ready',
      `The total CPU time of all sandboxes could not be limited in the control group ${parent}: ${error.message}. Run \`soulbox doctor\`.`,
      { cause: error },
    );
  }
}
