/** @module-tag violation */
import { expect, test } from 'vitest';
import { findLeaks, findSlowdown } from './judge.ts';

const figures = { memoryMib: 200, descriptors: 60, objects: { mount: 4, process: 6 } };
const times = (count: number, ms: number): number[] => Array<number>(count).fill(ms);
const fine = {
  start: figures,
  end: { ...figures, descriptors: 70 },
  memory: [...times(600, 150), ...times(1800, 240)],
};

test('a soak that stayed within its bounds has no faults', () => {
  expect(findLeaks(fine)).toEqual([]);
  expect(findSlowdown({ alone: times(1000, 40), attacked: times(1000, 70) })).toBeUndefined();
});

test('slow calls are a fault', () => {
  const attacked = [...times(985, 40), ...times(15, 90)];
  expect(findSlowdown({ alone: times(1000, 40), attacked })).toMatch('90 ms beside the attack, 40 ms alone');
});

test.each([
  ['memory that grows', { ...fine, memory: Array.from({ length: 2400 }, (_, n) => 200 + n / 12) }],
  ['memory that grows fast', { ...fine, memory: Array.from({ length: 180 }, (_, n) => 200 + 3 * n) }],
  ['memory that was far too much', { ...fine, memory: [...times(400, 200), 1500] }],
  ['descriptors', { ...fine, end: { ...figures, descriptors: 100 } }],
  ['a mount', { ...fine, end: { ...figures, objects: { mount: 5, process: 6 } } }],
  ['an object of a new kind', { ...fine, end: { ...figures, objects: { ...figures.objects, loop: 1 } } }],
])('%s are a fault', (_name, measured) => {
  expect(findLeaks(measured)).toHaveLength(1);
});
