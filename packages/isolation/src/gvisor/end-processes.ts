import { cgroupOf } from '../host/names.ts';
import type { Host } from './host.ts';
import { removeRuntimeState } from './runtime-state.ts';

/**
 * Ends every process of a sandbox and removes runsc's state of it. It uses the control group: runsc's own `delete`
 * waits until pid 1 has reaped the killed processes, which takes a second and a half if that is slow.
 */
export async function endProcesses(host: Host, sandboxId: string): Promise<void> {
  const cgroup = cgroupOf(host.instance, sandboxId);
  await host.cgroups.kill(cgroup);
  await removeRuntimeState(host.instance, sandboxId);
  await host.cgroups.remove(cgroup);
}
