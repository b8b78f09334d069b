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
