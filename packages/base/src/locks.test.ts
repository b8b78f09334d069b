import { expect, it } from 'vitest';
import { createLocks } from './locks.ts';

it('runs one task at a time, in order, even after a task that failed', async () => {
  const locks = createLocks();
  const seen: string[] = [];
  const act = (name: string) => async () => {
    seen.push(`${name} in`);
    await Promise.resolve();
    seen.push(`${name} out`);
    if (name === 'b') throw new Error('b failed');
    return name;
  };
  const outcomes = Promise.allSettled(['a', 'b', 'c'].map(async (name) => await locks.alone('i1', act(name))));
  expect(locks.isBusy('i1')).toBe(true);
  expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(seen).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
  expect(locks.isBusy('i1')).toBe(false);
});

it('runs a task at once if nobody holds the lock, and locks each sandbox separately', () => {
  const locks = createLocks();
  const begun: string[] = [];
  for (const sandboxId of ['i1', 'i2', 'i1']) {
    void locks.alone(sandboxId, async () => {
      begun.push(sandboxId);
      await new Promise(() => undefined);
    });
  }
  expect(begun).toEqual(['i1', 'i2']);
});

it('a late caller runs after all callers that already wait', async () => {
  const locks = createLocks();
  const first = Promise.withResolvers<undefined>();
  const second = Promise.withResolvers<undefined>();
  const seen: string[] = [];
  const one = locks.alone('i1', async () => await first.promise);
  const two = locks.alone('i1', async () => {
    seen.push('two in');
    await second.promise;
    seen.push('two out');
  });
  first.resolve(undefined);
  await one;
  // The first task has finished and the second one runs: the lock is held.
  expect(locks.isBusy('i1')).toBe(true);
  const three = locks.alone('i1', async () => {
    seen.push('three in');
    await Promise.resolve();
  });
  await Promise.resolve();
  expect(seen).toEqual(['two in']);
  second.resolve(undefined);
  await Promise.all([two, three]);
  expect(seen).toEqual(['two in', 'two out', 'three in']);
  expect(locks.isBusy('i1')).toBe(false);
});
