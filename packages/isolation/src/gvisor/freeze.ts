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
/** How often a kernel that does not answer is asked: the asking runsc may have been killed too. */
const questions = 3;

/** gVisor stops its tasks; gVisor itself continues to run and can take a checkpoint. Throws `checkpoint_failed`. */
export async function freezeSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  const before = readState(host, instance);
  if (before.isPaused) return;
  try {
    await runRunsc(host, instance, ['pause', instance.sandboxId]);
  } catch (error) {
    // A killed runsc may have done it.
    if (await askKernel(host, instance, before)) return;
    throw new SoulBoxError('checkpoint_failed', 'The sandbox could not be frozen.', { cause: error });
  }
}

/**
 * If runsc is killed meanwhile, the sandbox may still be frozen, or may continue without runsc's state file saying so.
 * So its kernel is asked, and runsc is run again if the kernel is stopped. If no attempt succeeds, or the kernel does
 * not answer, the sandbox is ended: otherwise it would count as running and stay frozen for ever. Throws
 * `sandbox_resume_failed` if none of its processes has run, any other error if some may have run.
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

/** Undefined if the kernel has ended or does not answer. */
async function askUntilTold(host: Host, instance: SandboxInstance, before: RuntimeState): Promise<boolean | undefined> {
  for (let left = questions; left > 0 && isSandboxAlive(host, instance); left--) {
    const isStopped = await askKernel(host, instance, before);
    if (isStopped !== undefined) return isStopped;
  }
  return undefined;
}

/**
 * Whether the kernel of the sandbox is stopped; afterwards runsc's state file agrees with it. That matters because a
 * second thaw of a running kernel would end it. Undefined if the kernel does not answer. `before`: the state file's
 * content before the last runsc, which may have been killed while it wrote the file.
 */
async function askKernel(
  host: Host,
  { sandboxId }: SandboxInstance,
  before: RuntimeState,
): Promise<boolean | undefined> {
  // runsc reads the file before it contacts a kernel.
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
