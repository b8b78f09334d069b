import type { DiskReading } from '@soulbox/isolation';
import { expect, test } from 'vitest';
import { watchDisk } from './watched-disk.ts';

const gib = 1024 ** 3;

/** Counts looks. `writes` is what a program inside has written. */
function diskOf(heldBackBytes: number) {
  const looks = { peek: 0, read: 0 };
  const state = { writes: 0 };
  const reading = (): DiskReading => ({
    ...{ sizeBytes: 20 * gib, tableBytes: 0, heldBackBytes, allocatedBytes: 0 },
    freeBytes: 10 * gib - state.writes,
  });
  const disk = {
    peek: () => {
      looks.peek += 1;
      return reading();
    },
    read: () => {
      looks.read += 1;
      return reading();
    },
    allow: () => undefined,
    flush: async () => await Promise.resolve(),
  };
  const watched = watchDisk('a', disk, 0);
  if (watched === undefined) throw new Error('It is mounted.');
  const inspectFor = (fromMs: number, toMs: number): void => {
    for (let atMs = fromMs; atMs < toMs; atMs += 200) watched.inspect(atMs);
  };
  return { watched, looks, state, inspectFor };
}

test('an idle disk is read once a second, a disk that is written to five times', () => {
  const { looks, state, inspectFor, watched } = diskOf(0);
  inspectFor(200, 4200);
  expect(looks).toEqual({ peek: 0, read: 1 + 4 });
  state.writes = gib;
  inspectFor(4200, 5200);
  expect(watched.recentBytes).toBe(gib);
  inspectFor(5200, 6200);
  expect(looks).toEqual({ peek: 4, read: 1 + 6 });
});

test('an idle disk that could soon reach its limit is read as often as one that is written to', () => {
  const { looks, inspectFor } = diskOf(10 * gib - gib / 2);
  inspectFor(200, 4200);
  expect(looks.peek).toBe(16);
});
