import { createBreaker, defaultBreaker } from './breaker.ts';
import type { Breaker, BreakerSettings } from './breaker.ts';
import { CallError, ownReasons } from './call-error.ts';
import type { CallDescription } from './call-description.ts';
import { createEvents } from './events.ts';
import type { ClientEvents } from './events.ts';
import { AttemptFailed, failureFromThrown } from './failure.ts';
import { parseRetryPolicy } from './retry-policy.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { retryCall } from './retry-call.ts';

export interface TargetOptions {
  /** For events and messages, usually the origin of the URL. */
  readonly name: string;
  readonly retry?: Partial<RetryPolicy>;
  /** False: nothing is held back, however often it fails. */
  readonly breaker?: Partial<BreakerSettings> | false;
  /** How long one attempt may take, in milliseconds. Absent: only the signal of the call ends it. */
  readonly attemptTimeoutMs?: number;
  readonly events?: ClientEvents;
}

export interface TargetCall {
  readonly signal?: AbortSignal | undefined;
  /** Replaces the policy of the target. */
  readonly retry?: RetryPolicy | undefined;
  /** Replaces the time of the target. */
  readonly attemptTimeoutMs?: number | undefined;
}

/** One server, with what all calls to it share: retry policy, circuit breaker and events. */
export interface Target {
  readonly name: string;
  readonly retry: RetryPolicy;
  readonly breaker: Breaker | undefined;
  readonly events: ClientEvents;
  /**
   * Makes a call, again if it may be repeated. The signal of an attempt aborts with that of the call and at the end of
   * the attempt's time. Throws only CallError.
   */
  call<T>(
    description: CallDescription,
    attempt: (signal: AbortSignal | undefined) => Promise<T>,
    options?: TargetCall,
  ): Promise<T>;
  /** Makes one attempt under the circuit breaker. Throws what it throws. */
  attempt<T>(attempt: () => Promise<T>): Promise<T>;
}

export function createTarget(options: TargetOptions): Target {
  const { name, events = createEvents() } = options;
  const retry = parseRetryPolicy(options.retry);
  const breaker =
    options.breaker === false
      ? undefined
      : createBreaker(name, { ...defaultBreaker, ...options.breaker }, (state) => {
          events.emit({ target: name, type: 'breaker', state });
        });

  const attemptOnce = async <T>(attempt: () => Promise<T>): Promise<T> => {
    const permit = breaker?.admit();
    try {
      const result = await attempt();
      permit?.succeed();
      return result;
    } catch (thrown) {
      const failure = failureFromThrown(thrown);
      if (failure.isOutage) permit?.fail();
      // The target has answered, or this side has failed. Only an answer says that the target works.
      else if (failure.status !== undefined) permit?.succeed();
      else permit?.cancel();
      throw thrown;
    }
  };

  return {
    name,
    retry,
    breaker,
    events,
    attempt: attemptOnce,
    async call(description, attempt, call = {}) {
      const { signal, attemptTimeoutMs = options.attemptTimeoutMs } = call;
      const onRetry = (facts: { attempt: number; delayMs: number; error: CallError }): void => {
        events.emit({ target: name, type: 'retry', call: description.name, ...facts });
      };
      return await retryCall(
        description,
        async () => await attemptOnce(async () => await withinTime(attempt, signal, attemptTimeoutMs)),
        { policy: call.retry ?? retry, signal, onRetry },
      );
    },
  };
}

async function withinTime<T>(
  attempt: (signal: AbortSignal | undefined) => Promise<T>,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): Promise<T> {
  if (timeoutMs === undefined) return await attempt(signal);
  const limit = AbortSignal.timeout(timeoutMs);
  const both = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  try {
    return await attempt(both);
  } catch (thrown) {
    if (!limit.aborted || signal?.aborted === true) throw thrown;
    const message = `There was no response within ${timeoutMs} ms.`;
    const facts = { isTransient: true, hadNoEffect: false, isOutage: true };
    throw new AttemptFailed({
      ...{ code: 'deadline_exceeded', reason: ownReasons.timeout, message, cause: thrown },
      ...facts,
    });
  }
}
