import { expect, it } from 'vitest';
import { createDataKeyCache } from './data-key-cache.ts';

const setUp = (max: number, lifeMs = 1000) => {
  let now = 0;
  const loaded: Buffer[] = [];
  const cache = createDataKeyCache({ max, lifeMs, clock: { now: () => now } });
  const load = (): Promise<Buffer> => {
    const key = Buffer.alloc(32, 7);
    loaded.push(key);
    return Promise.resolve(key);
  };
  const use = (id: string) => cache.use(id, load, (key) => key.every((byte) => byte === 7));
  const isErased = (n: number): boolean => loaded[n]?.every((byte) => byte === 0) === true;
  return { cache, loaded, use, isErased, wait: (ms: number) => (now += ms) };
};

it('loads a key once while it is kept', async () => {
  const { use, loaded } = setUp(2);
  expect(await use('a')).toBe(true);
  expect(await use('a')).toBe(true);
  expect(loaded).toHaveLength(1);
});

it('overwrites the key that was not used for the longest time when there are too many', async () => {
  const { cache, use, isErased, loaded } = setUp(2);
  for (const id of ['a', 'b', 'a', 'c']) await use(id);
  expect(cache.size).toBe(2);
  expect([isErased(0), isErased(1), isErased(2)]).toEqual([false, true, false]);
  await use('a');
  expect(loaded).toHaveLength(3);
});

it('overwrites a key after its time, however often it is used', async () => {
  const { use, isErased, loaded, wait } = setUp(2);
  await use('a');
  wait(600);
  await use('a');
  wait(600);
  expect(await use('a')).toBe(true);
  expect(loaded).toHaveLength(2);
  expect(isErased(0)).toBe(true);
});

it('overwrites a key after its time, even if nothing is used', async () => {
  const { cache, use, isErased, wait } = setUp(2, 20);
  await use('a');
  wait(20);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect([cache.size, isErased(0)]).toEqual([0, true]);
});

it('never gives an overwritten key to a call, when many keys are used at once', async () => {
  const { cache, use } = setUp(2);
  const results = await Promise.all(Array.from({ length: 500 }, (_, n) => use(`key ${n % 7}`)));
  expect(results.every((isRight) => isRight)).toBe(true);
  expect(cache.size).toBeLessThanOrEqual(2);
});

it('overwrites the key also when the work or a second loading of the same key fails', async () => {
  const { cache, use, loaded, isErased } = setUp(2);
  await expect(
    cache.use(
      'a',
      () => Promise.resolve(Buffer.alloc(32, 7)),
      () => {
        throw new Error('work failed');
      },
    ),
  ).rejects.toThrow('work failed');
  await expect(
    cache.use(
      'b',
      () => Promise.reject(new Error('no key')),
      () => 1,
    ),
  ).rejects.toThrow('no key');
  await Promise.all([use('c'), use('c')]);
  expect(loaded).toHaveLength(2);
  expect(isErased(1)).toBe(true);
  expect(await use('c')).toBe(true);
});

it('keeps nothing after it was disposed', async () => {
  const { cache, use, isErased } = setUp(2);
  await use('a');
  cache[Symbol.dispose]();
  expect(isErased(0)).toBe(true);
  expect(await use('a')).toBe(true);
  expect(cache.size).toBe(0);
  expect(isErased(1)).toBe(true);
});
