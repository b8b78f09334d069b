import { SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import { endProcesses } from './end.ts';
import type { Host } from './host.ts';
import { runRunsc } from './runsc.ts';
import { readRuntimeState } from './runtime-state.ts';

const attempts = 5;

/** gVisor stops its tasks; it itself goes on, and can be asked for a checkpoint. Throws `checkpoint_failed`. */
export async function freezeSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  if (isPaused(host, instance)) return;
  try {
    await runRunsc(host, instance, ['pause', instance.sandboxId]);
  } catch (error) {
    throw new SoulBoxError('checkpoint_failed', 'The sandbox could not be stopped.', { cause: error });
  }
}

/**
 * A runsc that is killed at it leaves the sandbox stopped: another one is asked. When none succeeds the sandbox is ended, for
 * otherwise it would count as running and stand still for ever.
 */
export async function thawSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  for (let left = attempts - 1; isPaused(host, instance); left--) {
    try {
      await runRunsc(host, instance, ['resume', instance.sandboxId]);
      return;
    } catch (error) {
      if (left > 0) continue;
      await endProcesses(host, instance.sandboxId);
      throw error;
    }
  }
}

function isPaused(host: Host, { sandboxId }: SandboxInstance): boolean {
  try {
    return readRuntimeState(host.instance, sandboxId).isPaused;
  } catch (error) {
    throw new SoulBoxError('checkpoint_failed', `Sandbox ${sandboxId} does not run any more.`, { cause: error });
  }
}
