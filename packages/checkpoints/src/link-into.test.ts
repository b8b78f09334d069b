import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDiskBlobs } from '@soulbox/storage';
import { openCheckpointStore } from './open-checkpoint-store.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { sealTestCheckpoint, testFacts, testOptions } from './testing/test-store.ts';

let folder: string;
let target: string;
let store: CheckpointStore;

const open = async (directory: string): Promise<CheckpointStore> => {
  const blobs = await openDiskBlobs({ directory: join(directory, 'archive') });
  return await openCheckpointStore({ ...testOptions(directory), blobs });
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-link-'));
  target = join(folder, 'copy');
  store = await open(join(folder, 'store'));
  await writeFile(store.layerPath('l1'), Buffer.alloc(5000, 1));
  await store.sealLayer('l1');
  await sealTestCheckpoint(store, 's1', testFacts());
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** Checks the copy as a server does that starts with it. */
async function checkCopy(): Promise<void> {
  await using copy = await open(target);
  await (await copy.unpack('s1')).verify();
  await copy.verifyLayer('l1');
}

test('checkpoints and layers in the copy are intact after the originals were removed', async () => {
  await store.linkInto(target, ['s1'], ['l1']);
  await store.collect(() => ({ checkpoints: new Set(), layers: new Set() }));
  expect(await store.list()).toEqual([]);
  await checkCopy();
});

test('a compressed checkpoint is intact in the copy with its blobs', async () => {
  expect((await store.compress('s1'))?.isPacked).toBe(true);
  await store.linkInto(target, ['s1'], ['l1']);
  expect(await readdir(join(target, 'archive'))).not.toEqual([]);
  await store.remove('s1');
  await checkCopy();
});

test('a checkpoint that is compressed at the same time is intact in the copy in either form', async () => {
  await Promise.all([store.compress('s1'), store.linkInto(target, ['s1'], ['l1']), store.linkInto(target, [], ['l1'])]);
  await checkCopy();
});

test('a folder that a driver has opened to others has the same mode in the copy', async () => {
  await chmod(join(folder, 'store/states/s1'), 0o751);
  await store.linkInto(target, ['s1'], []);
  expect((await stat(join(target, 'states/s1'))).mode & 0o777).toBe(0o751);
});

test('it can be repeated, and a missing checkpoint or layer is an error', async () => {
  for (let times = 0; times < 2; times += 1) await store.linkInto(target, ['s1'], ['l1']);
  await expect(store.linkInto(target, ['none'], [])).rejects.toMatchObject({ reason: 'snapshot_not_found' });
  await expect(store.linkInto(target, [], ['none'])).rejects.toMatchObject({ reason: 'snapshot_not_found' });
  await checkCopy();
});
