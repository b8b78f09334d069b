import { cgroupOf } from '../host/names.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';
import { endPager } from './pager/pagers.ts';
import { removeRuntimeState } from './runtime-state.ts';

/**
 * Ends every process of a sandbox and removes crun's state of it. The pager ends after them: if it ended first, missing
 * memory would turn into zeros. It ends before their control group is removed, because it must not outlive that group.
 */
export async function endProcesses(host: Host, sandboxId: string, directory: string): Promise<void> {
  const cgroup = cgroupOf(host.instance, sandboxId);
  await host.cgroups.kill(cgroup);
  await endPager(layoutOf(host.instance, sandboxId, directory).restore);
  await removeRuntimeState(host.instance, sandboxId);
  await host.cgroups.remove(cgroup);
}
