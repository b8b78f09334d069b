import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import type * as Descriptors from '@soulbox/linux/descriptors';
import type * as Libc from '@soulbox/linux/libc';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { waitReadable } from './poll-set.ts';

/** The error that the kernel returns from a wait; 0: the real call is made. */
const refusal = vi.hoisted(() => ({ errno: 0 }));
vi.mock('@soulbox/linux/descriptors', async (original) => {
  const actual = await original<typeof Descriptors>();
  return {
    ...actual,
    poll: (...args: Parameters<typeof actual.poll>) => (refusal.errno === 0 ? actual.poll(...args) : -1),
  };
});
vi.mock('@soulbox/linux/libc', async (original) => {
  const actual = await original<typeof Libc>();
  return { ...actual, lastErrno: () => (refusal.errno === 0 ? actual.lastErrno() : refusal.errno) };
});

let directory: string;
/** Empty pipes; each descriptor is both ends of one. */
let pipes: number[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-poll-'));
  const paths = ['a', 'b', 'c'].map((name) => join(directory, name));
  await run('mkfifo', paths);
  pipes = paths.map((path) => openSync(path, 'r+'));
});
afterEach(async () => {
  refusal.errno = 0;
  for (const fd of pipes) closeSync(fd);
  await rm(directory, { recursive: true });
});

test('only descriptors with data to read are returned', () => {
  const [, second = -1, third = -1] = pipes;
  writeSync(second, 'x');
  expect(waitReadable(pipes, 0)).toEqual([second]);
  writeSync(third, 'x');
  expect(waitReadable(pipes, -1)).toEqual([second, third]);
});

test('if none has data, it waits until the timeout', () => {
  const startedAt = performance.now();
  expect(waitReadable(pipes, 50)).toEqual([]);
  expect(performance.now() - startedAt).toBeGreaterThan(45);
});

test('a wait that a signal interrupts returns none: the caller checks again', () => {
  const [first = -1] = pipes;
  writeSync(first, 'x');
  refusal.errno = 4;
  expect(waitReadable(pipes, 0)).toEqual([]);
});

test('a wait that the kernel refuses throws an error that says what was refused', () => {
  refusal.errno = 22;
  expect(() => waitReadable(pipes, 0)).toThrow(/^poll: errno/);
});

test('a closed descriptor is returned: reading it shows the fault', () => {
  const fd = openSync('/dev/null', 'r');
  closeSync(fd);
  expect(waitReadable([fd], 0)).toEqual([fd]);
});
