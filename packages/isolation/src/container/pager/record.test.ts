import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findPagerRecord, removePagerRecord, writePagerRecord } from './record.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-pager-record-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const identity = { pid: 7, startTicks: 8 };
const guard = { pid: 6, startTicks: 8 };
const loading = { state: 'loading', guard, worker: identity, sharer: identity } as const;

test('the last written record is found', () => {
  expect(findPagerRecord(directory)).toBeUndefined();
  writePagerRecord(directory, loading);
  expect(findPagerRecord(directory)).toEqual(loading);
  writePagerRecord(directory, { state: 'damaged', detail: 'block 3' });
  expect(findPagerRecord(directory)).toEqual({ state: 'damaged', detail: 'block 3' });
});

test('its place and form are those that guard.sh expects, it is only for root, and no other file is left', async () => {
  writePagerRecord(directory, loading);
  expect(await readdir(directory)).toEqual(['pager.json']);
  expect(await readFile(join(directory, 'pager.json'), 'utf8')).toMatch(/^{"state":"loading","guard":{"pid":6,/);
  expect((await stat(join(directory, 'pager.json'))).mode & 0o777).toBe(0o600);
});

test('an incomplete record counts as none', async () => {
  await writeFile(join(directory, 'pager.json'), '{"state":"load');
  expect(findPagerRecord(directory)).toBeUndefined();
});

test('a record can be removed, and removing a missing one is not an error', () => {
  writePagerRecord(directory, loading);
  removePagerRecord(directory);
  expect(findPagerRecord(directory)).toBeUndefined();
  removePagerRecord(directory);
});
