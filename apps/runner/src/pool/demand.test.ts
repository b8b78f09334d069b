import { expect, test } from 'vitest';
import { createDemand } from './demand.ts';

const idleMs = 60_000;

/** The number of wanted spares at `nowMs` after uses at these times. */
function wantedAfter(usesMs: readonly number[], nowMs: number, maxSpares = 16): number {
  const demand = createDemand({ idleMs, maxSpares });
  for (const useMs of usesMs) demand.note(useMs);
  return demand.wanted(nowMs);
}

test.each<[string, readonly number[], number, number]>([
  ['nothing', [], 0, 0],
  ['one use', [0], 0, 0],
  ['two uses far apart: one at a time', [0, 30_000], 30_000, 1],
  ['two uses close together', [0, 9_999], 10_000, 2],
  ['the second just outside of the burst', [0, 10_000], 10_000, 1],
  ['a burst long ago, and single uses since', [0, 1, 2, 20_000, 40_000], 40_001, 3],
  ['a burst that is too old to count', [0, 1, 2, 30_000, 60_002], 60_003, 1],
  ['uses too far apart to be two', [0, 60_000], 60_000, 0],
  ['a burst that nobody came back after', [0, 1, 2], 60_002, 0],
  ['the same, a moment earlier', [0, 1, 2], 60_001, 3],
])('after %s', (_, usesMs, nowMs, wanted) => {
  expect(wantedAfter(usesMs, nowMs)).toBe(wanted);
});

test('is never above its limit', () => {
  const uses = Array.from({ length: 100 }, (_, index) => index);
  expect(wantedAfter(uses, 100, 4)).toBe(4);
  expect(wantedAfter(uses, 100, 0)).toBe(0);
});
