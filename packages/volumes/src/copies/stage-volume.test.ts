/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { sealedObjects } from '@soulbox/vault';
import { memoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDiskBlocks, blockPath } from '../blocks/disk.ts';
import { checkVolume } from '../check/check-volume.ts';
import { openPaths } from '../paths/open-paths.ts';
import { namesOf } from '../stored/block-rows.ts';
import { openStoredVolumes } from '../stored/stored-volumes.ts';
import type { StoredVolumes } from '../stored/stored-volumes.ts';
import { uploadVolume } from '../stored/upload-volume.ts';
import { makeVolume, noQuota } from '../testing/fresh-volume.ts';
import type { FreshVolume } from '../testing/fresh-volume.ts';
import { blocksPath, metadataPath } from '../volume/places.ts';
import { openVolume } from '../volume/open.ts';
import type { Volume, VolumeOptions } from '../volume/open.ts';
import { copyVolume } from './copy-volume.ts';
import { holdVolume } from './hold-volume.ts';
import { stageVolume } from './stage-volume.ts';
import type { StagedBlocks } from './stage-blocks.ts';

const { signal } = new AbortController();
const owner = { uid: 0, gid: 0, mode: 0o644 };
const big = 300_000;
let fresh: FreshVolume;
let target: string;
let draft: string;

async function begin(options: VolumeOptions = {}): Promise<void> {
  fresh = await makeVolume(options);
  [target, draft] = [join(fresh.data, '.backup/volumes/t/g'), join(fresh.data, '.backup/drafts/v')];
  await mkdir(target, { recursive: true });
}
beforeEach(() => begin());
afterEach(() => fresh[Symbol.asyncDispose]());

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(content);
}
const write = async (path: string, content: Buffer, volume = fresh.volume): Promise<unknown> =>
  await openPaths(volume).write(path, once(content), owner);
const remove = async (path: string): Promise<void> => await openPaths(fresh.volume).remove(path, { recursive: false });
async function read(path: string, volume: Volume): Promise<Buffer> {
  const pieces: Buffer[] = [];
  using result = await openPaths(volume).read(path);
  for await (const piece of result.stream) pieces.push(piece);
  return Buffer.concat(pieces);
}
async function inoOf(name: string): Promise<number> {
  const inode = await fresh.volume.metadata.lookup(1, Buffer.from(name));
  if (inode === undefined) throw new Error(`${name} is missing`);
  return inode.ino;
}
async function countBlocks(folder: string): Promise<number> {
  let count = 0;
  for await (const _ of openDiskBlocks(folder).list()) count += 1;
  return count;
}
/** Holds the present moment, lets `meanwhile` change the volume, and stages the moment. */
async function stage(meanwhile?: () => Promise<unknown>, volume = fresh.volume): Promise<StagedBlocks> {
  using held = await holdVolume(volume, fresh.data);
  await meanwhile?.();
  return await stageVolume(held, { draft, target, signal });
}
const nothing = async (): Promise<string[]> => [
  ...(await readdir(join(fresh.data, '.backup/drafts')).catch(() => [])),
  ...(await readdir(target)).filter((name) => name !== 'blocks'),
];

test('a staged volume is as it was when it was held, whatever was written, cut and deleted meanwhile', async () => {
  const contents = new Map(['a', 'b', 'c', 'd'].map((name) => [name, randomBytes(big)]));
  for (const [name, content] of contents) await write(`/${name}`, content);
  await write('/small', Buffer.from('one'));
  const staged = await stage(async () => {
    await fresh.volume.write(await inoOf('a'), Buffer.alloc(1000, 1), { offset: 5 });
    await remove('/b');
    await fresh.volume.setAttributes(await inoOf('c'), { size: 10 });
    await fresh.volume.setAttributes(await inoOf('d'), { size: 0 });
    await fresh.volume.write(await inoOf('d'), Buffer.alloc(big, 2), { offset: 0 });
    await write('/small', Buffer.from('two'));
    await write('/later', Buffer.alloc(big, 3));
    for (let times = 0; times < 3; times += 1) await fresh.volume.sync();
  });
  expect(staged).toEqual({ blocks: 4, bytes: 4 * big, fetchedBytes: 0 });
  await using there = await openVolume(target, 'v');
  for (const [name, content] of contents) expect((await read(`/${name}`, there)).equals(content)).toBe(true);
  expect(String(await read('/small', there))).toBe('one');
  expect((await openPaths(there).list('/', { depth: 1, limit: 100 })).entries).toHaveLength(5);
  // With the small file, which is in the metadata.
  expect(await checkVolume(there)).toMatchObject({ blocks: 5, faults: [] });
  expect(await nothing()).toEqual(['v']);
});

test('blocks of a backup are links, and those that the volume no longer needs are deleted when the hold ends', async () => {
  await write('/kept', Buffer.alloc(big, 1));
  await write('/gone', Buffer.alloc(big, 2));
  await stage(async () => {
    await remove('/gone');
    await expect.poll(() => fresh.volume.metadata.facts().usage.bytes).toBe(big);
    await fresh.volume.sync();
    expect(await countBlocks(blocksPath(fresh.data))).toBe(2);
  });
  // Without a sweep, and without another change.
  await expect.poll(async () => await countBlocks(blocksPath(fresh.data))).toBe(1);
  expect(await countBlocks(blocksPath(target))).toBe(2);
  for await (const name of namesOf(metadataPath(fresh.data, 'v')))
    expect((await stat(blockPath(blocksPath(target), name))).nlink).toBe(2);
  await write('/next', Buffer.alloc(big, 3));
  await remove('/next');
  await expect.poll(() => fresh.volume.metadata.facts().usage.bytes).toBe(big);
  await fresh.volume.sync();
  expect(await countBlocks(blocksPath(fresh.data))).toBe(1);
});

test('volumes of a group share their blocks in the stage too, and a later moment replaces an earlier one', async () => {
  await write('/shared', Buffer.alloc(big, 1));
  await copyVolume(fresh.volume, { data: fresh.data, id: 'c', isReadOnly: true, quota: noQuota });
  await stage();
  await using copy = await openVolume(fresh.data, 'c');
  await stage(undefined, copy);
  expect(await countBlocks(blocksPath(target))).toBe(1);
  await write('/own', Buffer.alloc(big, 2));
  await stage();
  expect((await readdir(target)).sort()).toEqual(['blocks', 'c', 'v']);
  await using first = await openVolume(target, 'v');
  await using second = await openVolume(target, 'c');
  expect((await read('/own', first)).equals(Buffer.alloc(big, 2))).toBe(true);
  expect((await read('/shared', second)).equals(Buffer.alloc(big, 1))).toBe(true);
  expect(second.metadata.facts()).toMatchObject({ id: 'c', isReadOnly: true });
});

test('writes in two places, which belong together, are both there or neither, while a program goes on', async () => {
  const { ino } = await fresh.volume.create(1, Buffer.from('log'), { ...owner, mode: 0o100644 });
  let isStopped = false;
  let written = 0;
  const writer = (async () => {
    while (!isStopped) {
      await fresh.volume.write(ino, Buffer.alloc(20_000, written % 256), { offset: 0 });
      await fresh.volume.write(ino, Buffer.alloc(20_000, written % 256), { offset: 5_000_000 });
      if (written % 8 === 0) await fresh.volume.sync();
      written += 1;
    }
  })();
  await expect.poll(() => written).toBeGreaterThan(2);
  for (let times = 0; times < 3; times += 1) {
    const flushed = written;
    await stage();
    await using there = await openVolume(target, 'v');
    const [one = 0, other = 0] = [(await there.read(ino, 0, 20_000))[0], (await there.read(ino, 5_000_000, 20_000))[0]];
    expect([0, 1, -255]).toContain(one - other);
    expect((256 + one - ((flushed - 1) % 256)) % 256).toBeLessThan(200);
    expect(await checkVolume(there)).toMatchObject({ blocks: 2, faults: [] });
  }
  isStopped = true;
  await writer;
});

test.each([
  ['missing', async (path: string) => await rm(path)],
  ['cut', async (path: string) => await truncate(path, big - 1)],
] as const)('a block that is %s keeps its volume out of the stage, and not the others', async (_, damage) => {
  await write('/a', Buffer.alloc(big, 1));
  await copyVolume(fresh.volume, { data: fresh.data, id: 'c', isReadOnly: true, quota: noQuota });
  await write('/b', Buffer.alloc(big, 2));
  const [block] = await fresh.volume.metadata.blocks(await inoOf('b'), 0, 0);
  await fresh.volume[Symbol.asyncDispose]();
  await damage(blockPath(blocksPath(fresh.data), String(block?.content)));
  await using next = await openVolume(fresh.data, 'v');
  await expect(stage(undefined, next)).rejects.toMatchObject({ reason: 'volume_damaged' });
  expect(await nothing()).toEqual([]);
  await using copy = await openVolume(fresh.data, 'c');
  await stage(undefined, copy);
  expect(await nothing()).toEqual(['c']);
});

test('an abort, and a disk without room for the metadata, leave nothing', async () => {
  await write('/a', Buffer.alloc(big, 1));
  using held = await holdVolume(fresh.volume, fresh.data);
  const stopped = AbortSignal.abort(new SoulBoxError('illegal_transition', 'stop'));
  await expect(stageVolume(held, { draft, target, signal: stopped })).rejects.toThrow('stop');
  expect(await nothing()).toEqual([]);
  const full = { ...fresh.volume, blocks: { ...fresh.volume.blocks, freeBytes: () => 100 } };
  const staging = stageVolume({ ...held, volume: full }, { draft, target, signal });
  await expect(staging).rejects.toMatchObject({ reason: 'disk_full' });
  expect(await nothing()).toEqual([]);
});

test('a volume with a hold that ends after it was closed is no error', async () => {
  await write('/a', Buffer.alloc(big, 1));
  const held = await holdVolume(fresh.volume, fresh.data);
  await fresh.volume[Symbol.asyncDispose]();
  held[Symbol.dispose]();
});

test('more blocks than are read at once are all there', async () => {
  const { ino } = await fresh.volume.create(1, Buffer.from('sparse'), { ...owner, mode: 0o100644 });
  const piece = Buffer.alloc(20_000, 7);
  for (let index = 0; index < 1100; index += 1) await fresh.volume.write(ino, piece, { offset: index * 4 * 2 ** 20 });
  expect(await stage()).toMatchObject({ blocks: 1100 });
  await using there = await openVolume(target, 'v');
  expect(await checkVolume(there)).toMatchObject({ blocks: 1100, faults: [] });
});

/** A volume whose blocks are in an object store, and on the disk only if `isLocal`. */
async function storeBlocks(isLocal: boolean): Promise<{ readonly stored: StoredVolumes; readonly content: Buffer }> {
  await fresh[Symbol.asyncDispose]();
  const access = memoryAccess();
  const objects = sealedObjects(access, 'a'.repeat(20));
  const options = { objects, key: randomBytes(32), directory: '/tmp', localBytes: undefined, logger: silentLogger };
  const stored = openStoredVolumes(options);
  await begin({ openBlocks: (path) => stored.group('g', path).handle() });
  const content = randomBytes(10 * 2 ** 20 + 3);
  await write('/large', content);
  const blocks = stored.group('g', blocksPath(fresh.data));
  await uploadVolume({
    ...{ volume: fresh.volume, blocks, data: fresh.data, stage: join(fresh.data, '.stage'), numbers: [] },
    ...{ place: { teamId: 't', groupId: 'g', volumeId: 'v' }, last: undefined, signal },
    ...{ packs: stored.packs, generations: stored.generations, digestKey: stored.digestKey },
    checkOwner: async () => await Promise.resolve(),
  });
  const names: string[] = [];
  for await (const { name } of fresh.volume.blocks.list()) names.push(name);
  if (!isLocal) await blocks.evict(names);
  return { stored, content };
}

test.each([true, false])('a backup does not depend on the object store (on the disk: %s)', async (isLocal) => {
  const { stored, content } = await storeBlocks(isLocal);
  const bytes = content.length;
  expect(await stage()).toEqual({ blocks: 3, bytes, fetchedBytes: isLocal ? 0 : bytes });
  await stored[Symbol.asyncDispose]();
  for await (const name of namesOf(metadataPath(target, 'v'))) expect(name).toMatch(/^[0-9a-f]{32}$/);
  // With blocks on the disk only.
  await using there = await openVolume(target, 'v');
  expect((await read('/large', there)).equals(content)).toBe(true);
  expect(await checkVolume(there)).toMatchObject({ blocks: 3, faults: [] });
});

test('what the disk has no room for is not fetched, and a store that has lost it is named', async () => {
  const { stored } = await storeBlocks(false);
  using held = await holdVolume(fresh.volume, fresh.data);
  const tight = { ...fresh.volume, blocks: { ...fresh.volume.blocks, freeBytes: () => 512 * 2 ** 20 } };
  const options = { draft, target, signal };
  await expect(stageVolume({ ...held, volume: tight }, options)).rejects.toMatchObject({
    reason: 'limit_exceeded',
    message: expect.stringMatching(/^11 MiB of the volume are in the object store only/) as string,
  });
  expect(await nothing()).toEqual([]);
  for await (const { pack } of stored.packs.list('g', signal)) await stored.packs.delete('g', pack, signal);
  await expect(stageVolume(held, options)).rejects.toMatchObject({ reason: 'storage_unavailable' });
  expect(await nothing()).toEqual([]);
  await stored[Symbol.asyncDispose]();
});
