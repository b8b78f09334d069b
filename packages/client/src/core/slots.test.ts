/** @module-tag violation */
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { createSlots } from './slots.ts';

afterEach(() => void vi.useRealTimers());

const waiting = { waitingMax: 3, waitMs: 1000 };

test('those that wait are served in order, and nobody passes them', async () => {
  const slots = createSlots('x', 1, waiting);
  const order: string[] = [];
  const first = await slots.take();
  const take = async (name: string): Promise<() => void> => {
    const release = await slots.take();
    order.push(name);
    return release;
  };
  const second = take('second');
  const third = take('third');
  first();
  first();
  const late = take('late');
  (await second)();
  (await third)();
  (await late)();
  expect(order).toEqual(['second', 'third', 'late']);
  expect(slots.used).toBe(0);
});

test('too many that wait, and those that wait for too long, fail without effect', async () => {
  vi.useFakeTimers();
  const slots = createSlots('x', 1, waiting);
  const release = await slots.take();
  const late = Array.from({ length: 3 }, () => slots.take().catch((error: unknown) => error));
  await expect(slots.take()).rejects.toMatchObject({ reason: 'pool_full', retryable: true });
  await vi.advanceTimersByTimeAsync(1000);
  for (const outcome of await Promise.all(late))
    expect(outcome).toMatchObject({ reason: 'pool_timeout', retryable: true });
  release();
  (await slots.take())();
  expect(slots.used).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test('one that leaves the line in the moment of a release loses no slot', async () => {
  const slots = createSlots('x', 1, waiting);
  const release = await slots.take();
  const abort = new AbortController();
  const left = slots.take(abort.signal);
  const next = slots.take();
  abort.abort(new Error('gone'));
  release();
  await expect(left).rejects.toThrow('gone');
  (await next)();
  expect(slots.used).toBe(0);
});

test('after closing, those that wait and newcomers fail', async () => {
  const slots = createSlots('x', 1, waiting);
  await slots.take();
  const waits = slots.take();
  slots.close();
  await expect(waits).rejects.toMatchObject({ reason: 'pool_closed' });
  await expect(slots.take()).rejects.toMatchObject({ reason: 'pool_closed' });
});

test('in any order of arrivals, releases and aborts, no slot is lost or given twice', async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('take', 'release', 'abort', 'turn'), fc.nat(20)), { maxLength: 80 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (most, script) => {
      const slots = createSlots('x', most, { waitingMax: 1000, waitMs: 60_000 });
      const held: (() => void)[] = [];
      const aborts: AbortController[] = [];
      const all: Promise<unknown>[] = [];
      for (const [step, index] of script) {
        if (step === 'take') {
          const abort = new AbortController();
          aborts.push(abort);
          all.push(
            slots
              .take(abort.signal)
              .then((release) => held.push(release))
              .catch(() => undefined),
          );
        } else if (step === 'release') held.splice(index % (held.length || 1), 1)[0]?.();
        else if (step === 'abort') aborts[index % (aborts.length || 1)]?.abort(new Error('gone'));
        else await new Promise((resolve) => setImmediate(resolve));
        expect(held.length).toBeLessThanOrEqual(most);
        expect(slots.used).toBeLessThanOrEqual(most);
      }
      for (let round = 0; round < 200 && slots.used > 0; round++) {
        held.splice(0).forEach((release) => release());
        await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(all);
      expect(slots.used).toBe(0);
    }),
    { numRuns: 50 },
  );
});
