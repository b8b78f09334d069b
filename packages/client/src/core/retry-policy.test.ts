/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultRetryPolicy, nextDelay, parseRetryPolicy } from './retry-policy.ts';

const policies = fc
  .record({
    attempts: fc.integer({ min: 1, max: 100 }),
    initialDelayMs: fc.integer({ min: 1, max: 10_000 }),
    more: fc.integer({ min: 0, max: 100_000 }),
    budgetMs: fc.integer({ min: 0, max: 600_000 }),
    retryAfterMaxMs: fc.integer({ min: 0, max: 60_000 }),
  })
  .map(({ more, ...policy }) => parseRetryPolicy({ ...policy, maxDelayMs: policy.initialDelayMs + more }));

test('no wait leaves its limits, whatever the server asks for', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const retryAfter = fc.option(fc.integer({ min: 0, max: 90_000 }), { nil: undefined });
  fc.assert(
    fc.property(policies, fc.array(fc.tuple(random, retryAfter), { maxLength: 120 }), (policy, rounds) => {
      let elapsedMs = 0;
      let attempt = 1;
      for (const [roll, retryAfterMs] of rounds) {
        const delay = nextDelay(policy, { attempt, elapsedMs, retryAfterMs }, () => roll);
        if (delay === undefined) {
          const limit = Math.min(policy.maxDelayMs, policy.initialDelayMs * 2 ** (attempt - 1));
          const isOver =
            attempt >= policy.attempts ||
            (retryAfterMs ?? 0) > policy.retryAfterMaxMs ||
            elapsedMs + (retryAfterMs ?? 0) + limit > policy.budgetMs;
          expect(isOver).toBe(true);
          return;
        }
        expect(delay).toBeGreaterThanOrEqual(retryAfterMs ?? 0);
        expect(delay - (retryAfterMs ?? 0)).toBeLessThanOrEqual(policy.maxDelayMs);
        elapsedMs += delay;
        attempt += 1;
        expect(elapsedMs).toBeLessThanOrEqual(policy.budgetMs);
        expect(attempt).toBeLessThanOrEqual(policy.attempts);
      }
    }),
  );
});

test('the jitter is full: waits spread evenly from zero to a limit that doubles', () => {
  const policy = parseRetryPolicy({ attempts: 10, initialDelayMs: 100, maxDelayMs: 1000 });
  const at = (attempt: number, roll: number) => nextDelay(policy, { attempt, elapsedMs: 0 }, () => roll);
  expect([1, 2, 3, 4, 5, 6].map((attempt) => at(attempt, 0.999_99))).toEqual([99, 199, 399, 799, 999, 999]);
  expect([1, 5].map((attempt) => at(attempt, 0))).toEqual([0, 0]);
  expect([1, 5].map((attempt) => at(attempt, 0.5))).toEqual([50, 500]);
});

test.each([
  { attempts: 0 },
  { attempts: 1.5 },
  { attempts: 101 },
  { initialDelayMs: 0 },
  { initialDelayMs: -1 },
  { initialDelayMs: Number.NaN },
  { maxDelayMs: Infinity },
  { maxDelayMs: 99 },
  { budgetMs: 2 ** 31 },
  { retryAfterMaxMs: -1 },
])('%j is refused', (policy) => {
  expect(() => parseRetryPolicy(policy)).toThrow(RangeError);
});

test('every fault is named', () => {
  expect(() => parseRetryPolicy({ attempts: 0, budgetMs: -1 })).toThrow(/attempts .* budgetMs/);
  expect(parseRetryPolicy()).toEqual(defaultRetryPolicy);
});
