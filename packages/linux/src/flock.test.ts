import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { tryLock } from './flock.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-flock-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

test('only one holder at a time has the lock of a folder, until it closes the folder', () => {
  const [first, second] = [openSync(directory, 'r'), openSync(directory, 'r')];
  expect(tryLock(first)).toBe(true);
  expect(tryLock(first)).toBe(true);
  expect(tryLock(second)).toBe(false);
  closeSync(first);
  expect(tryLock(second)).toBe(true);
  closeSync(second);
});

test('a descriptor that is not open causes an error instead of looking like a held lock', () => {
  const fd = openSync(directory, 'r');
  closeSync(fd);
  expect(() => tryLock(fd)).toThrow('flock: errno 9');
});
