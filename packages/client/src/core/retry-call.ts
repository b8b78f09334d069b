import { CallError, ownReasons } from './call-error.ts';
import type { CallDescription } from './call-description.ts';
import { errorFromFailure, failureFromThrown, mayRepeat } from './failure.ts';
import type { Failure } from './failure.ts';
import { nextDelay } from './retry-policy.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { wait } from './wait.ts';

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: (retry: { readonly attempt: number; readonly delayMs: number; readonly error: CallError }) => void;
  /** Between 0 (included) and 1. */
  readonly random?: () => number;
}

/**
 * Makes attempts until one succeeds or may not be repeated. Throws the error of the last one as a CallError. An abort
 * ends a wait at once.
 */
export async function retryCall<T>(
  { isSafeToRepeat }: CallDescription,
  attemptCall: (attempt: number) => Promise<T>,
  { policy, signal, onRetry, random }: RetryOptions,
): Promise<T> {
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt++) {
    let failure: Failure;
    try {
      signal?.throwIfAborted();
      return await attemptCall(attempt);
    } catch (thrown) {
      if (signal?.aborted === true) throw abortedError(signal);
      failure = failureFromThrown(thrown);
    }
    const error = errorFromFailure(failure, isSafeToRepeat);
    const failed = { attempt, elapsedMs: performance.now() - startedAt, retryAfterMs: failure.retryAfterMs };
    const delayMs = mayRepeat(failure, isSafeToRepeat) ? nextDelay(policy, failed, random) : undefined;
    if (delayMs === undefined) throw error;
    onRetry?.({ attempt, delayMs, error });
    try {
      await wait(delayMs, signal);
    } catch {
      throw abortedError(signal);
    }
  }
}

/** The reason of the signal is the cause. A timeout signal makes it a `timeout`. */
export function abortedError(signal: AbortSignal | undefined): CallError {
  const cause: unknown = signal?.reason;
  const isLate = cause instanceof DOMException && cause.name === 'TimeoutError';
  const facts = isLate
    ? ({ code: 'deadline_exceeded', reason: ownReasons.timeout } as const)
    : ({ code: 'canceled', reason: ownReasons.aborted } as const);
  const message = isLate ? 'There was no response in time.' : 'The call was aborted.';
  return new CallError(message, { ...facts, retryable: false, cause });
}
