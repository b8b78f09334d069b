import type { DiskReading } from '@soulbox/isolation';
import { expect, test } from 'vitest';
import { watchDisk } from './watched-disk.ts';

const gib = 1024 ** 3;

/** Counts looks. `writes` is what a program inside has written. `hasRun`: some program runs all the time. */
function diskOf(heldBackBytes: number) {
  const looks = { peek: 0, read: 0 };
  let asked = 0;
  const state = { writes: 0, hasRun: true, dirtied: 0 };
  const reading = (): DiskReading => ({
    ...{ sizeBytes: 20 * gib, tableBytes: 0, heldBackBytes, allocatedBytes: 0 },
    freeBytes: 10 * gib - state.writes,
  });
  const disk = {
    hasRun: () => {
      asked += 1;
      return state.hasRun;
    },
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
  const watched = watchDisk('a', disk, 0, 0);
  if (watched === undefined) throw new Error('It is mounted.');
  const inspectFor = (fromMs: number, toMs: number): void => {
    for (let atMs = fromMs; atMs < toMs; atMs += 200) watched.inspect(atMs, state.dirtied);
  };
  return { watched, looks, state, inspectFor, asked: () => asked };
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

test('an idle disk is read more often if all programs together may have written what it still may', () => {
  const { looks, state, inspectFor } = diskOf(10 * gib - gib / 2);
  inspectFor(200, 3200);
  expect(looks).toEqual({ peek: 0, read: 1 + 3 });
  state.dirtied = gib / 8;
  inspectFor(3400, 3800);
  expect(looks.peek).toBe(0);
  state.dirtied += gib / 2;
  inspectFor(3800, 4000);
  expect(looks.peek).toBe(1);
  // That look counts.
  inspectFor(4000, 4200);
  expect(looks.peek).toBe(1);
});

test('an idle disk that may hardly grow is read as often as one that is written to', () => {
  const { looks, inspectFor } = diskOf(10 * gib - gib / 32);
  inspectFor(200, 4200);
  expect(looks.peek).toBe(16);
});

test('an idle disk is read as often if what programs write is not known', () => {
  const { looks, state, inspectFor } = diskOf(10 * gib - gib / 2);
  state.dirtied = NaN;
  inspectFor(200, 4200);
  expect(looks.peek).toBe(16);
});

test('a disk is read every ten seconds while no process of its sandbox runs, and at once when one does', () => {
  for (const heldBackBytes of [0, 10 * gib - gib / 2]) {
    const { looks, state, inspectFor, watched, asked } = diskOf(heldBackBytes);
    inspectFor(200, 1400);
    const before = { ...looks, asked: asked() };
    state.hasRun = false;
    inspectFor(1400, 21_400);
    expect(looks).toEqual({ peek: before.peek, read: before.read + 2 });
    expect(asked() - before.asked).toBe(18);
    state.writes = gib / 4;
    state.hasRun = true;
    inspectFor(21_400, 22_200);
    expect(watched.recentBytes).toBe(gib / 4);
  }
});

test('a disk whose data is being written out is read although no process runs', async () => {
  const { looks, state, inspectFor, watched } = diskOf(0);
  inspectFor(200, 4200);
  state.hasRun = false;
  await watched.flush(AbortSignal.timeout(1000));
  inspectFor(4200, 5200);
  expect(looks.read).toBe(1 + 5);
});
