import { SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import { isSandboxAlive } from './alive.ts';
import { endProcesses } from './end-processes.ts';
import type { Host } from './host.ts';
import { isKernelStopped } from './kernel-stopped.ts';
import { runRunsc } from './runsc.ts';
import type { RuntimeState } from './runtime-state.ts';
import { mendRuntimeState, readRuntimeState } from './runtime-state.ts';

const attempts = 5;
/** How often a kernel is asked that does not tell: the runsc that asks may have been killed, too. */
const questions = 3;

/** gVisor stops its tasks; it itself goes on, and can be asked for a checkpoint. Throws `checkpoint_failed`. */
export async function freezeSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  const before = readState(host, instance);
  if (before.isPaused) return;
  try {
    await runRunsc(host, instance, ['pause', instance.sandboxId]);
  } catch (error) {
    // One that was killed may have done it.
    if (await askKernel(host, instance, before)) return;
    throw new SoulBoxError('checkpoint_failed', 'The sandbox could not be frozen.', { cause: error });
  }
}

/**
 * A runsc that is killed at it leaves the sandbox stopped, or has let it go on without noting so: its kernel is asked, and another
 * runsc if it stands still. When none succeeds, or the kernel does not tell, the sandbox is ended, for otherwise it would count as
 * running and stand still for ever. Throws `sandbox_resume_failed` when nothing of it has run, anything else when it may have.
 */
export async function thawSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  const before = readState(host, instance);
  if (before.isPaused && !isSandboxAlive(host, instance)) throw hasNotRun(undefined);
  if (!before.isPaused && (await askKernel(host, instance, before)) !== true) return;
  for (let left = attempts - 1; ; left--) {
    try {
      await runRunsc(host, instance, ['resume', instance.sandboxId]);
      return;
    } catch (error) {
      const isStopped = await askUntilTold(host, instance, before);
      if (isStopped === false) return;
      if (isStopped === true && left > 0) continue;
      await endProcesses(host, instance.sandboxId);
      throw isStopped === true ? hasNotRun(error) : error;
    }
  }
}

function hasNotRun(cause: unknown): SoulBoxError {
  return new SoulBoxError('sandbox_resume_failed', 'The sandbox ended while it was frozen.', { cause });
}

/** Undefined when the kernel has ended, or does not tell. */
async function askUntilTold(host: Host, instance: SandboxInstance, before: RuntimeState): Promise<boolean | undefined> {
  for (let left = questions; left > 0 && isSandboxAlive(host, instance); left--) {
    const isStopped = await askKernel(host, instance, before);
    if (isStopped !== undefined) return isStopped;
  }
  return undefined;
}

/**
 * Whether the kernel of the sandbox stands still; from then on runsc's state file says so too. To let a kernel go on that goes on
 * already would end it. Undefined when it does not tell. `before`: what the file said before the last runsc, which may have been
 * killed while it wrote it.
 */
async function askKernel(
  host: Host,
  { sandboxId }: SandboxInstance,
  before: RuntimeState,
): Promise<boolean | undefined> {
  // runsc reads the file before it talks to a kernel.
  await mendRuntimeState(host.instance, sandboxId, before);
  const isStopped = await isKernelStopped(host.instance, sandboxId);
  if (isStopped !== undefined) await mendRuntimeState(host.instance, sandboxId, before, isStopped);
  return isStopped;
}

function readState(host: Host, { sandboxId }: SandboxInstance): RuntimeState {
  try {
    return readRuntimeState(host.instance, sandboxId);
  } catch (error) {
    throw new SoulBoxError('checkpoint_failed', `Sandbox "${sandboxId}" is no longer running.`, { cause: error });
  }
}
