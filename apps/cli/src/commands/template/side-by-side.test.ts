import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { sideBySide } from './side-by-side.ts';

test('the number of lanes limits the items in progress, and results are in the order of the items', async () => {
  let underway = 0;
  let most = 0;
  const results = await sideBySide([40, 10, 30, 10, 0], 2, async (delayMs) => {
    most = Math.max(most, (underway += 1));
    await sleep(delayMs);
    underway -= 1;
    return delayMs;
  });
  expect([most, results]).toEqual([2, [40, 10, 30, 10, 0]]);
});

test('a failure does not stop the others and is thrown at the end', async () => {
  const done: number[] = [];
  const work = async (item: number): Promise<void> => {
    if (item === 1) throw new Error('the first');
    await sleep(5);
    done.push(item);
  };
  await expect(sideBySide([1, 2, 3], 2, work)).rejects.toThrow('the first');
  expect(done).toEqual([2, 3]);
});
