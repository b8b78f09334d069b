/** When and how often a failed call is made again. All times are in milliseconds. */
export interface RetryPolicy {
  /** Attempts including the first, 1 to 100. 1: nothing is repeated. */
  readonly attempts: number;
  /** The first wait is a random time up to this; each further limit is twice as high. */
  readonly initialDelayMs: number;
  /** The highest limit of a wait. */
  readonly maxDelayMs: number;
  /** From the start of a call: after it, no attempt begins. */
  readonly budgetMs: number;
  /** A call whose server asks for a longer wait fails at once, with that wait in its error. */
  readonly retryAfterMaxMs: number;
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 4,
  initialDelayMs: 100,
  maxDelayMs: 5000,
  budgetMs: 30_000,
  retryAfterMaxMs: 20_000,
};

/** Each attempt is made once and its failure is final. */
export const noRetries: RetryPolicy = { ...defaultRetryPolicy, attempts: 1 };

/** The longest time that timers of JavaScript keep. */
const timerMaxMs = 2 ** 31 - 1;

/** Fills in defaults. Throws RangeError and names every wrong value. */
export function parseRetryPolicy(given: Partial<RetryPolicy> = {}): RetryPolicy {
  const policy = { ...defaultRetryPolicy, ...given };
  const faults = Object.entries(limits).flatMap(([name, [least, most]]) => {
    const value = policy[name as keyof RetryPolicy];
    const isWhole = Number.isInteger(value) && value >= least && value <= most;
    return isWhole ? [] : [`${name} must be a whole number from ${least} to ${most}, and is ${String(value)}`];
  });
  if (policy.maxDelayMs < policy.initialDelayMs) faults.push('maxDelayMs must not be less than initialDelayMs');
  if (faults.length > 0) throw new RangeError(`The retry policy is invalid: ${faults.join('; ')}.`);
  return policy;
}

const limits = {
  attempts: [1, 100],
  initialDelayMs: [1, timerMaxMs],
  maxDelayMs: [1, timerMaxMs],
  budgetMs: [0, timerMaxMs],
  retryAfterMaxMs: [0, timerMaxMs],
} satisfies Record<keyof RetryPolicy, readonly [number, number]>;

/** What a failed attempt says about the wait. */
interface Failed {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Since the start of the call. */
  readonly elapsedMs: number;
  readonly retryAfterMs?: number | undefined;
}

/**
 * The wait before the next attempt, in milliseconds, or undefined if there is none. Exponential with full jitter: a
 * random time between 0 and the limit, so that clients which failed together do not return together. A wait that the
 * server asked for is kept in full; the random time is added for the same reason.
 */
export function nextDelay(
  policy: RetryPolicy,
  { attempt, elapsedMs, retryAfterMs = 0 }: Failed,
  random: () => number = Math.random,
): number | undefined {
  if (attempt >= policy.attempts || retryAfterMs > policy.retryAfterMaxMs) return undefined;
  const limit = Math.min(policy.maxDelayMs, policy.initialDelayMs * 2 ** (attempt - 1));
  const delay = retryAfterMs + Math.floor(random() * limit);
  return elapsedMs + delay > policy.budgetMs ? undefined : delay;
}
