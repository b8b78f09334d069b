import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeBlobs } from '../conformance/blobs.ts';
import { openDiskBlobs } from './disk/open.ts';
import { holdableBlobs } from './hold-deletes.ts';
import type { HoldableBlobs } from './hold-deletes.ts';

describeBlobs('a store that can hold deletions', async (directory) =>
  holdableBlobs(await openDiskBlobs({ directory })),
);

let folder: string;
let blobs: HoldableBlobs;
beforeEach(async () => {
  folder = await mkdtemp(`${tmpdir()}/soulbox-held-`);
  blobs = holdableBlobs(await openDiskBlobs({ directory: folder }));
  for (const key of ['a', 'b']) await blobs.put(key, Readable.from([Buffer.from(key)]));
});
afterEach(() => rm(folder, { recursive: true }));

const keys = async (): Promise<string[]> => (await blobs.list('')).map(({ key }) => key);

test('a blob that is deleted during a hold is removed with the last hold', async () => {
  const holds = [blobs.holdDeletes(), blobs.holdDeletes()];
  await blobs.delete('a');
  await holds[0]?.[Symbol.asyncDispose]();
  expect(await keys()).toEqual(['a', 'b']);
  await holds[1]?.[Symbol.asyncDispose]();
  expect(await keys()).toEqual(['b']);
  await blobs.delete('b');
  expect(await keys()).toEqual([]);
});

test('a blob that is deleted and written again during a hold stays', async () => {
  {
    await using _hold = blobs.holdDeletes();
    await blobs.delete('a');
    await blobs.put('a', Readable.from([Buffer.from('new')]));
  }
  expect(await keys()).toEqual(['a', 'b']);
});
