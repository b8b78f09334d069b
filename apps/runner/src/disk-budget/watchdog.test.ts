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

test('while all promises can be kept nobody is stopped, however much is written', () => {
  expect(judge(stateOf(0, [diskOf('a', { recent: 1000, unwritten: 1000 })]))).toEqual({
    stop: [],
    thaw: [],
    flush: [],
  });
});

test('when they cannot, those that write are stopped, the worst first and some at a time; the idle go on', () => {
  const disks = [
    diskOf('idle', {}),
    diskOf('own', { recent: 1 }),
    ...[10, 60, 30, 20, 50, 40].map((recent) => diskOf(`w${recent}`, { recent })),
    diskOf('memory', { recent: 5, unwritten: 100 }),
  ];
  expect(judge(stateOf(-1, disks)).stop).toEqual(['memory', 'w60', 'w50', 'w40']);
});

test('one that is stopped already is not stopped again', () => {
  expect(judge(stateOf(-1, [diskOf('a', { recent: 50 }, true)])).stop).toEqual([]);
});

test('what is in memory is written out, of those that are stopped too', () => {
  const disks = [diskOf('a', { unwritten: 50 }, true), diskOf('b', { unwritten: 2 }), diskOf('c', {})];
  expect(judge(stateOf(-1, disks)).flush.map(({ sandboxId }) => sandboxId)).toEqual(['a', 'b']);
});

test('one at a time goes on, when what it is promised is there and has been for a second', () => {
  const disks = [diskOf('a', { left: 30 }, true), diskOf('b', { left: 30 }, true)];
  expect(judge(stateOf(29, disks)).thaw).toEqual([]);
  expect(judge(stateOf(30, disks, 900)).thaw).toEqual([]);
  expect(judge(stateOf(30, disks)).thaw).toEqual(['a']);
});

test('one that has had all that it was promised goes on as soon as there is any room', () => {
  expect(judge(stateOf(0, [diskOf('a', {}, true)])).thaw).toEqual(['a']);
});
