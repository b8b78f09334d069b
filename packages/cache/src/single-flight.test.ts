import { expect, test } from 'vitest';
import { createSingleFlight } from './single-flight.ts';

test('a hundred callers share one attempt, and the next one begins anew', async () => {
  const flights = createSingleFlight<number>();
  let attempts = 0;
  const work = async (): Promise<number> => {
    await new Promise((resolve) => setImmediate(resolve));
    return ++attempts;
  };
  const { signal } = new AbortController();
  const all = await Promise.all(Array.from({ length: 100 }, () => flights.run('a', signal, work)));
  expect([new Set(all), attempts]).toEqual([new Set([1]), 1]);
  expect(await flights.run('a', signal, work)).toBe(2);
});

test('a caller that leaves gets its reason, and the others their value', async () => {
  const flights = createSingleFlight<string>();
  const { promise, resolve } = Promise.withResolvers<string>();
  const [leaving, staying] = [new AbortController(), new AbortController()];
  let ended = false;
  const work = async (signal: AbortSignal): Promise<string> => {
    signal.addEventListener('abort', () => (ended = true));
    return await promise;
  };
  const left = flights.run('a', leaving.signal, work);
  const stayed = flights.run('a', staying.signal, work);
  leaving.abort(new Error('enough'));
  await expect(left).rejects.toThrow('enough');
  expect(ended).toBe(false);
  resolve('value');
  expect(await stayed).toBe('value');
});

test('the attempt ends when all have left, and a later caller does not join it', async () => {
  const flights = createSingleFlight<string>();
  const signals: AbortSignal[] = [];
  const work = async (signal: AbortSignal): Promise<string> => {
    signals.push(signal);
    if (signals.length > 1) return 'second';
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(signal.reason as Error));
    return await promise;
  };
  const leaving = new AbortController();
  const left = flights.run('a', leaving.signal, work);
  leaving.abort(new Error('enough'));
  await expect(left).rejects.toThrow('enough');
  expect(signals[0]?.aborted).toBe(true);
  expect(await flights.run('a', new AbortController().signal, work)).toBe('second');
});

test('all get the error of the attempt', async () => {
  const flights = createSingleFlight<string>();
  const { signal } = new AbortController();
  const work = async (): Promise<string> => await Promise.reject(new Error('no'));
  const outcomes = await Promise.allSettled([flights.run('a', signal, work), flights.run('a', signal, work)]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
