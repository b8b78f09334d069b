import { cgroupOf } from '../host/names.ts';
import type { Host } from './host.ts';
import { removeRuntimeState } from './runtime-state.ts';

/**
 * Ends every process of a sandbox and lets runsc forget it. By control group: runsc's own `delete` waits until pid 1 has
 * collected what it killed, which takes a second and a half where that is slow.
 */
export async function endProcesses(host: Host, sandboxId: string): Promise<void> {
  const cgroup = cgroupOf(host.instance, sandboxId);
  await host.cgroups.kill(cgroup);
  await removeRuntimeState(host.instance, sandboxId);
  await host.cgroups.remove(cgroup);
}
