import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { setTimeout as sleep } from 'node:timers/promises';

/** How long a call of the store is repeated before the store counts as away, and how long one may take. Milliseconds. */
export interface Patience {
  readonly pauseMs: number;
  readonly totalMs: number;
  readonly callMs: number;
}

/** A process of the store that was killed is back after a second. */
export const usualPatience: Patience = { pauseMs: 200, totalMs: 15_000, callMs: 60_000 };

export function isAway(thrown: unknown): boolean {
  return /^storage_(?:unavailable|throttled)$/.test(errorFromUnknown(thrown).reason);
}

/** Repeats a call while the store is away. Throws `storage_unavailable`, and what is no matter of time at once. */
export async function persist<T>(
  call: (signal: AbortSignal) => Promise<T>,
  { pauseMs, totalMs, callMs }: Patience,
  signal: AbortSignal,
): Promise<T> {
  const giveUpAt = performance.now() + totalMs;
  for (;;) {
    const late = AbortSignal.timeout(callMs);
    try {
      return await call(AbortSignal.any([signal, late]));
    } catch (thrown) {
      signal.throwIfAborted();
      if (late.aborted)
        throw new SoulBoxError('storage_unavailable', 'The object store does not answer. Retry.', { cause: thrown });
      if (!isAway(thrown) || performance.now() >= giveUpAt) throw thrown;
      await sleep(pauseMs);
    }
  }
}
