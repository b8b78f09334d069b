import { findProcess, isRunning } from '@soulbox/base';
import type { ProcessIdentity } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import { initRuns } from '../host/init-process.ts';
import type { Host } from './host.ts';
import { readRuntimeState } from './runtime-state.ts';

/** By instance: the state file is read once, because the check is made every second. */
const gofers = new WeakMap<SandboxInstance, ProcessIdentity>();

/**
 * Whether the sandbox's kernel runs, and the process that opens files for it (the gofer). Without the gofer the kernel
 * continues, but it cannot access files any more, and can be neither measured nor saved: such a sandbox has ended.
 */
export function isSandboxAlive(host: Pick<Host, 'instance'>, instance: SandboxInstance): boolean {
  if (!initRuns(instance)) return false;
  const known = gofers.get(instance);
  if (known !== undefined) return isRunning(known);
  const pid = findGoferPid(host, instance);
  if (pid === undefined) return true;
  const gofer = findProcess(pid);
  // The gofer starts before the kernel: a process that began later has reused its pid.
  if (gofer === undefined || gofer.startTicks > instance.initStartTicks) return false;
  gofers.set(instance, gofer);
  return true;
}

/**
 * Undefined if the state file cannot be read at the moment: runsc may be writing it, and that must not end a sandbox.
 */
function findGoferPid(host: Pick<Host, 'instance'>, { sandboxId }: SandboxInstance): number | undefined {
  try {
    const { goferPid } = readRuntimeState(host.instance, sandboxId);
    return goferPid === 0 ? undefined : goferPid;
  } catch {
    return undefined;
  }
}
