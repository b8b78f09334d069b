import { findProcess, isRunning } from '@soulbox/base';
import type { ProcessIdentity } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import { initRuns } from '../host/init-process.ts';
import type { Host } from './host.ts';
import { readRuntimeState } from './runtime-state.ts';

/** By instance: its state file is read once, the check is made every second. */
const gofers = new WeakMap<SandboxInstance, ProcessIdentity>();

/**
 * Whether the sandbox's kernel runs, and with it the process that opens files for it (the gofer). Without that one the kernel goes
 * on, but sees no file any more, and can be neither measured nor saved: such a sandbox has ended.
 */
export function isSandboxAlive(host: Pick<Host, 'instance'>, instance: SandboxInstance): boolean {
  if (!initRuns(instance)) return false;
  const known = gofers.get(instance);
  if (known !== undefined) return isRunning(known);
  const pid = findGoferPid(host, instance);
  if (pid === undefined) return true;
  const gofer = findProcess(pid);
  // It is started before the kernel: whoever began later has its pid, but is another.
  if (gofer === undefined || gofer.startTicks > instance.initStartTicks) return false;
  gofers.set(instance, gofer);
  return true;
}

/** Undefined when the state file cannot be read just now: runsc may be writing it, and nobody is to end for that. */
function findGoferPid(host: Pick<Host, 'instance'>, { sandboxId }: SandboxInstance): number | undefined {
  try {
    const { goferPid } = readRuntimeState(host.instance, sandboxId);
    return goferPid === 0 ? undefined : goferPid;
  } catch {
    return undefined;
  }
}
