import { createBreaker, defaultBreaker } from './breaker.ts';
import type { Breaker, BreakerSettings } from './breaker.ts';
import type { BreakerState } from './events.ts';
import { CallError, ownReasons } from './call-error.ts';
import type { CallDescription } from './call-description.ts';
import { createEvents } from './events.ts';
import type { ClientEvents } from './events.ts';
import { AttemptFailed, failureFromThrown } from './failure.ts';
import { parseRetryPolicy } from './retry-policy.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { retryCall } from './retry-call.ts';
import type { Slots } from './slots.ts';

export interface TargetOptions {
  /** For events and messages, usually the origin of the URL. */
  readonly name: string;
  readonly retry?: Partial<RetryPolicy>;
  /** One that targets share, or settings of an own one. False: nothing is held back, however often it fails. */
  readonly breaker?: Breaker | Partial<BreakerSettings> | false;
  /** How long one attempt may take, in milliseconds. Absent: only the signal of the call ends it. */
  readonly attemptTimeoutMs?: number;
  readonly events?: ClientEvents;
}

export interface TargetCall {
  readonly signal?: AbortSignal | undefined;
  /** Replaces the policy of the target. */
  readonly retry?: RetryPolicy | undefined;
  /** Replaces the time of the target. 0: no limit. */
  readonly attemptTimeoutMs?: number | undefined;
  /** The server may take as long as it likes, so a late response is no outage. */
  readonly isLong?: boolean | undefined;
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
  /** Takes a slot. A wait for it is an event. */
  take(slots: Slots | undefined, signal: AbortSignal | undefined): Promise<() => void>;
  /** Makes one attempt under the circuit breaker. Throws what it throws. */
  attempt<T>(attempt: () => Promise<T>): Promise<T>;
}

export function createTarget(options: TargetOptions): Target {
  const { name, events = createEvents() } = options;
  const retry = parseRetryPolicy(options.retry);
  const breaker = breakerFrom(name, options.breaker);
  const onState = (state: BreakerState): void => events.emit({ target: name, type: 'breaker', state });

  const attemptOnce = async <T>(attempt: () => Promise<T>, isLong = false): Promise<T> => {
    const permit = breaker?.admit(onState);
    try {
      const result = await attempt();
      permit?.succeed();
      return result;
    } catch (thrown) {
      const failure = failureFromThrown(thrown);
      const isOutage = failure.isOutage && !(isLong && failure.code === 'deadline_exceeded');
      if (isOutage) permit?.fail();
      // The target has answered, or this side has failed. Only an answer says that the target works.
      else if (failure.isAnswer === true) permit?.succeed();
      else permit?.cancel();
      throw thrown;
    }
  };

  return {
    name,
    retry,
    breaker,
    events,
    attempt: async (attempt) => await attemptOnce(attempt),
    async take(slots, signal) {
      if (slots === undefined) return () => undefined;
      return await slots.take(signal, (waiting) => events.emit({ target: name, type: 'wait', waiting }));
    },
    async call(description, attempt, call = {}) {
      const { signal, attemptTimeoutMs = options.attemptTimeoutMs } = call;
      const onRetry = (facts: { attempt: number; delayMs: number; error: CallError }): void => {
        events.emit({ target: name, type: 'retry', call: description.name, ...facts });
      };
      return await retryCall(
        description,
        async () => await attemptOnce(async () => await withinTime(attempt, signal, attemptTimeoutMs), call.isLong),
        { policy: call.retry ?? retry, signal, onRetry },
      );
    },
  };
}

function breakerFrom(name: string, given: TargetOptions['breaker'] = {}): Breaker | undefined {
  if (given === false) return undefined;
  return 'admit' in given ? given : createBreaker(name, { ...defaultBreaker, ...given });
}

async function withinTime<T>(
  attempt: (signal: AbortSignal | undefined) => Promise<T>,
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): Promise<T> {
  if (timeoutMs === undefined || timeoutMs === 0) return await attempt(signal);
  const ending = new AbortController();
  const limit = ending.signal;
  const timer = setTimeout(
    () => ending.abort(new DOMException('There was no response in time.', 'TimeoutError')),
    timeoutMs,
  );
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
  } finally {
    // The body of a response can still be read after it.
    clearTimeout(timer);
  }
}
