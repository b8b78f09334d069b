import { setTimeout } from 'node:timers/promises';

/** Waits for `ms`. If the signal aborts earlier, rejects with the signal's reason, which Node's own function hides. */
export async function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal });
  } catch {
    signal.throwIfAborted();
  }
}
