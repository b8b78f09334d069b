import { expect, it } from 'vitest';
import { createLocks } from './locks.ts';

it('lets one at a time through, in order, also after one that failed', async () => {
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

it('begins at once when nobody holds the lock, and keeps sandboxes apart', () => {
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

it('whoever comes while others wait comes after all of them', async () => {
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
  // The first is through, the second is inside: the lock is held.
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
