import { SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import type { Host } from './host.ts';
import { runRunsc } from './runsc.ts';
import { readRuntimeState } from './runtime-state.ts';

/** gVisor stops its tasks; it itself goes on, and can be asked for a checkpoint. Throws `checkpoint_failed`. */
export async function freezeSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  if (isPaused(host, instance)) return;
  try {
    await runRunsc(host, instance, ['pause', instance.sandboxId]);
  } catch (error) {
    throw new SoulBoxError('checkpoint_failed', 'The sandbox could not be stopped.', { cause: error });
  }
}

export async function thawSandbox(host: Host, instance: SandboxInstance): Promise<void> {
  if (isPaused(host, instance)) await runRunsc(host, instance, ['resume', instance.sandboxId]);
}

function isPaused(host: Host, { sandboxId }: SandboxInstance): boolean {
  try {
    return readRuntimeState(host.instance, sandboxId).isPaused;
  } catch (error) {
    throw new SoulBoxError('checkpoint_failed', `Sandbox ${sandboxId} does not run any more.`, { cause: error });
  }
}
