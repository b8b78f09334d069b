import { AttemptFailed, CallError, retryCall } from '@soulbox/client';
import { StoreFault, errorFromFault } from './store-fault.ts';
import type { StoreLimits } from './store-options.ts';

export interface AttemptOptions {
  readonly signal: AbortSignal | undefined;
  /** Bytes that the attempt sends: it gets the time for them. */
  readonly sentBytes?: number | undefined;
  /** Shared by the parts of an upload: counts down with every failed attempt. */
  readonly faults?: { left: number } | undefined;
}

export type Attempt<T> = (signal: AbortSignal, number: number) => Promise<T>;

/** Makes attempts within the limits. Throws a StoreFault, the reason of the signal, or a defect. */
export async function attempt<T>(limits: StoreLimits, options: AttemptOptions, call: Attempt<T>): Promise<T> {
  const { signal, sentBytes = 0, faults } = options;
  const timeLimitMs = limits.attemptMs + (1000 * sentBytes) / limits.slowestBytesPerSecond;
  try {
    return await retryCall(
      { name: 'object store', isSafeToRepeat: true },
      async (number) => {
        try {
          return await withTimeLimit(timeLimitMs, signal, (limited) => call(limited, number));
        } catch (thrown) {
          signal?.throwIfAborted();
          throw failAttempt(thrown, faults);
        }
      },
      { policy: limits.retries, signal },
    );
  } catch (thrown) {
    signal?.throwIfAborted();
    throw thrown instanceof CallError && thrown.cause instanceof Error ? thrown.cause : thrown;
  }
}

/** As `attempt`, for callers of an object store. */
export async function call<T>(limits: StoreLimits, options: AttemptOptions, call: Attempt<T>): Promise<T> {
  try {
    return await attempt(limits, options, call);
  } catch (thrown) {
    options.signal?.throwIfAborted();
    throw errorFromFault(thrown);
  }
}

function failAttempt(thrown: unknown, faults: { left: number } | undefined): AttemptFailed {
  const fault = thrown instanceof StoreFault ? thrown : undefined;
  if (faults !== undefined) faults.left -= 1;
  const isTransient = fault?.isTransient === true && (faults === undefined || faults.left > 0);
  return new AttemptFailed({
    ...{ code: 'unavailable', reason: fault?.reason ?? 'internal', message: fault?.message ?? '' },
    ...{ isTransient, hadNoEffect: false, isOutage: false, retryAfterMs: fault?.retryAfterMs, cause: thrown },
  });
}

/** The call may ignore its signal: it does not hold up the end. */
async function withTimeLimit<T>(
  ms: number,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const abort = (): void => ended.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  const late = new StoreFault('storage_unavailable', `The store did not respond within ${Math.ceil(ms / 1000)} s.`);
  const timer = setTimeout(() => ended.abort(late), ms);
  try {
    signal?.throwIfAborted();
    return await orAborted(call(ended.signal), ended.signal);
  } catch (thrown) {
    throw ended.signal.aborted ? (ended.signal.reason as Error) : thrown;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** Rejects with the reason of the signal when it aborts first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
  });
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
