import { cgroupOf } from '../host/names.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { endPager } from './pager/pagers.ts';
import { removeRuntimeState } from './runtime-state.ts';

/**
 * Ends every process of a sandbox and lets crun forget it. The pager comes after them, for its end before theirs would turn missing
 * memory into zeros, and before the name of their control group goes, which it may not outlive.
 */
export async function endProcesses(host: Host, sandboxId: string, directory: string): Promise<void> {
  const cgroup = cgroupOf(host.instance, sandboxId);
  await host.cgroups.kill(cgroup);
  await endPager(layoutOf(host.instance, sandboxId, directory).restore);
  await removeRuntimeState(host.instance, sandboxId);
  await host.cgroups.remove(cgroup);
}
