import { expect, test } from 'vitest';
import type { DiskStanding, DiskState } from './budget.ts';
import { judge } from './watchdog.ts';
import type { WatchedDisk } from './watched-disk.ts';

const mib = 2 ** 20;

function diskOf(
  sandboxId: string,
  figures: Partial<Record<'recent' | 'unwritten' | 'left', number>>,
  isStopped = false,
): DiskStanding {
  const { recent = 0, unwritten = 0, left = 0 } = figures;
  const disk = { sandboxId, recentBytes: recent * mib, unwrittenBytes: unwritten * mib } as WatchedDisk;
  return { disk, isStopped, leftBytes: left * mib };
}

function stateOf(roomMb: number, disks: readonly DiskStanding[], roomForMs = 60_000): DiskState {
  return { roomBytes: roomMb * mib, roomForMs, disks };
}

test('while all promises can be kept no sandbox is frozen, however much is written', () => {
  expect(judge(stateOf(0, [diskOf('a', { recent: 1000, unwritten: 1000 })]))).toEqual({
    stop: [],
    thaw: [],
    flush: [],
  });
});

test('if promises cannot be kept, writing sandboxes are frozen, the worst first and a few at a time, and idle ones continue', () => {
  const disks = [
    diskOf('idle', {}),
    diskOf('own', { recent: 1 }),
    ...[10, 60, 30, 20, 50, 40].map((recent) => diskOf(`w${recent}`, { recent })),
    diskOf('memory', { recent: 5, unwritten: 100 }),
  ];
  expect(judge(stateOf(-1, disks)).stop).toEqual(['memory', 'w60', 'w50', 'w40']);
});

test('a frozen sandbox is not frozen again', () => {
  expect(judge(stateOf(-1, [diskOf('a', { recent: 50 }, true)])).stop).toEqual([]);
});

test('data in memory is written out, also that of frozen sandboxes', () => {
  const disks = [diskOf('a', { unwritten: 50 }, true), diskOf('b', { unwritten: 2 }), diskOf('c', {})];
  expect(judge(stateOf(-1, disks)).flush.map(({ sandboxId }) => sandboxId)).toEqual(['a', 'b']);
});

test('one sandbox at a time is thawed, if there has been room for its promise for a second', () => {
  const disks = [diskOf('a', { left: 30 }, true), diskOf('b', { left: 30 }, true)];
  expect(judge(stateOf(29, disks)).thaw).toEqual([]);
  expect(judge(stateOf(30, disks, 900)).thaw).toEqual([]);
  expect(judge(stateOf(30, disks)).thaw).toEqual(['a']);
});

test('a sandbox that has used up its promise is thawed as soon as there is any room', () => {
  expect(judge(stateOf(0, [diskOf('a', {}, true)])).thaw).toEqual(['a']);
});
