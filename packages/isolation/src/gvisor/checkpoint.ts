import { CommandError, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import type { Host } from './host.ts';
import { mendState, needsMending } from './image/mend-state.ts';
import { runRunsc } from './runsc.ts';

/** For memory of tens of gigabytes. */
const timeoutMs = 120_000;

/**
 * `-leave-running`: without it a refused checkpoint ends the sandbox. No compression: it takes three times as long as writing
 * what it saves.
 */
export async function checkpointSandbox(host: Host, instance: SandboxInstance, directory: string): Promise<void> {
  const args = ['checkpoint', '-leave-running', '-compression=none', '-image-path', directory, instance.sandboxId];
  try {
    await runRunsc(host, instance, args, { timeoutMs });
  } catch (error) {
    throw new SoulBoxError('checkpoint_failed', explain(error), { cause: error });
  }
  if (needsMending(await host.readVersion())) await mendState(directory);
}

/** runsc's words name objects of gVisor, not of the user. */
function explain(error: unknown): string {
  const words = error instanceof CommandError ? error.stderr : '';
  if (/deleted|unlinked|invalidated/i.test(words))
    return 'A program has a file open that was deleted or replaced; close it, or keep such files in /dev/shm.';
  return 'The memory of the sandbox could not be saved.';
}
