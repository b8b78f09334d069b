import { readdir } from 'node:fs/promises';
import { CommandError, SoulBoxError } from '@soulbox/base';
import type { SandboxInstance } from '../../driver.ts';
import type { Host } from '../host.ts';
import { mendState, needsMending } from './mend-state.ts';
import type { MemoryLoans } from '../memory-loans.ts';
import { runRunsc } from '../runsc.ts';
import { readRuntimeState } from '../runtime-state.ts';
import { noteVolumes } from '../volumes/saved-volumes.ts';

/** For memory of tens of gigabytes. */
const timeoutMs = 120_000;

/**
 * `-leave-running`: without it a refused checkpoint ends the sandbox. No compression: it takes three times as long as
 * writing the saved data.
 */
export async function checkpointSandbox(
  { host, loans }: { readonly host: Host; readonly loans: MemoryLoans },
  instance: SandboxInstance,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const args = ['checkpoint', '-leave-running', '-compression=none', '-image-path', directory, instance.sandboxId];
  try {
    // Otherwise runsc would create the folder, wherever that is.
    await readdir(directory);
    await loans.during(instance, async () => await runRunsc(host, instance, args, { timeoutMs, signal }));
    await noteVolumes(directory, readRuntimeState(host.instance, instance.sandboxId).goferPid);
    if (needsMending(await host.readVersion())) await mendState(directory);
  } catch (error) {
    signal.throwIfAborted();
    throw new SoulBoxError('checkpoint_failed', explain(error), { cause: error });
  }
}

/** runsc's messages name objects of gVisor, not of the user. */
function explain(error: unknown): string {
  const words = error instanceof CommandError ? error.stderr : '';
  if (/deleted|unlinked|invalidated/i.test(words))
    return 'A program has a file open that was deleted or replaced. Close it, or keep such files in /dev/shm.';
  // runsc fails on a half-open connection, and would fail again until that connection attempt times out.
  if (words.includes('resetConnectionLocked'))
    return 'A program is opening a connection to the outside. Retry when the connection is open or has failed, which takes two minutes at most.';
  return 'The memory of the sandbox could not be saved.';
}
