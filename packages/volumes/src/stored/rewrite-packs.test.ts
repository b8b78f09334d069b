/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { sealedObjects } from '@soulbox/vault';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findPackPlace } from '../blocks/block-names.ts';
import { copyVolume } from '../copies/copy-volume.ts';
import type { RenamedBlock } from '../metadata/metadata.ts';
import { noQuota, root } from '../testing/fresh-volume.ts';
import { createVolume, openVolume } from '../volume/open.ts';
import type { Volume } from '../volume/open.ts';
import { blocksPath, metadataPath } from '../volume/places.ts';
import { namesOf } from './block-rows.ts';
import { findHalfDead } from './half-dead.ts';
import type { HalfDeadPack } from './half-dead.ts';
import { rewritePacks } from './rewrite-packs.ts';
import type { RewriteOptions, Rewritten } from './rewrite-packs.ts';
import { openStoredVolumes } from './stored-volumes.ts';
import type { StoredVolumes } from './stored-volumes.ts';
import { uploadVolume } from './upload-volume.ts';
import type { UploadedGeneration } from './upload-volume.ts';

const { signal } = new AbortController();
const key = randomBytes(32);
const kib = 1024;
const owner = { uid: 0, gid: 0, mode: 0o100644 };
const sizes = [200, 100, 1500, 1200].map((size) => size * kib);
const contents = sizes.map((size) => randomBytes(size));
let folder: string;
let access: MemoryAccess;
let stored: StoredVolumes;
let volumes: Map<string, Volume>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rewrite-packs-'));
  access = memoryAccess();
  const objects = sealedObjects(access, 'a'.repeat(20));
  stored = openStoredVolumes({ objects, key, directory: tmpdir(), localBytes: undefined, logger: silentLogger });
  volumes = new Map();
  createVolume(folder, { id: 'v', quota: noQuota, root });
  const volume = await openOne('v');
  for (const [index, content] of contents.entries()) {
    const { ino } = await volume.create(1, Buffer.from(String(index)), owner);
    await volume.write(ino, content, { offset: 0 });
  }
});
afterEach(async () => {
  for (const volume of volumes.values()) await volume[Symbol.asyncDispose]();
  await stored[Symbol.asyncDispose]();
  await removeTree(folder);
});

async function openOne(id: string): Promise<Volume> {
  const volume = await openVolume(folder, id, { openBlocks: (path) => stored.group('g', path).handle() });
  volumes.set(id, volume);
  return volume;
}
const volumeOf = (id: string): Volume => volumes.get(id) ?? expect.unreachable(`${id} is not open`);

async function upload(id: string, last?: UploadedGeneration, avoid?: ReadonlySet<string>): Promise<UploadedGeneration> {
  return await uploadVolume({
    ...{ volume: volumeOf(id), blocks: stored.group('g', blocksPath(folder)), data: folder },
    ...{ stage: join(folder, 'stage'), place: { teamId: 't', groupId: 'g', volumeId: id } },
    ...{ numbers: last === undefined ? [] : [last.generation.number], last: last?.body, signal },
    ...{ packs: stored.packs, generations: stored.generations, digestKey: stored.digestKey },
    ...{ checkOwner: () => Promise.resolve(), ...(avoid === undefined ? {} : { avoid }) },
  });
}

async function readFrom(id: string, index: number): Promise<Buffer> {
  const volume = volumeOf(id);
  const inode = await volume.metadata.lookup(1, Buffer.from(String(index)));
  return await volume.read(inode?.ino ?? 0, 0, sizes[index] ?? 0);
}

/** Files 2 and 3 are gone: 300 of 3000 KiB are left. */
async function removeLarge(id: string): Promise<void> {
  const volume = volumeOf(id);
  for (const index of [2, 3]) {
    const inode = await volume.metadata.lookup(1, Buffer.from(String(index)));
    await volume.unlink(1, Buffer.from(String(index)));
    volume.forget('', inode?.ino ?? 0);
  }
  await volume.metadata.settled();
  await volume.sync();
}

const find = async (totals = new Map<string, number>(), pieces = new Map<string, number>()): Promise<HalfDeadPack[]> =>
  await findHalfDead({ data: folder, pieces, totals, max: 10 });

async function rewrite(wanted: readonly HalfDeadPack[], more: Partial<RewriteOptions> = {}): Promise<Rewritten> {
  return await rewritePacks({
    ...{ group: 'g', packs: stored.packs, blocks: stored.group('g', blocksPath(folder)), wanted, signal },
    rename: async (id, renamed) => await volumeOf(id).metadata.renameBlocks(renamed),
    onSize: () => undefined,
    checkOwner: () => Promise.resolve(),
    ...more,
  });
}

async function packsNamedBy(id: string): Promise<Set<string>> {
  const named = new Set<string>();
  for await (const name of namesOf(metadataPath(folder, id))) named.add(findPackPlace(name)?.pack ?? 'none');
  return named;
}

/** What is not on the disk comes from the store. */
async function removeLocal(): Promise<void> {
  for (const id of volumes.keys()) {
    const blocks = stored.group('g', blocksPath(folder));
    for await (const name of namesOf(metadataPath(folder, id))) await blocks.evict([name.slice(0, 32)]);
  }
}

const deletePack = (pack: string): void => {
  for (const name of access.objects.keys()) if (name.endsWith(`/${pack}`)) access.objects.delete(name);
};

test('what is needed of a half-dead pack moves to a new one, which a new generation names', async () => {
  const first = await upload('v');
  const [old = ''] = await packsNamedBy('v');
  const totals = new Map([[old, 3000 * kib]]);
  expect(await find(totals)).toEqual([]);
  await removeLarge('v');
  const found = await find(totals);
  expect(found).toMatchObject([{ pack: old, liveBytes: 300 * kib, hasPieces: false }]);
  const seen: number[] = [];
  const done = await rewrite(found, { onSize: (_, bytes) => void seen.push(bytes) });
  expect(done).toMatchObject({ packs: [old], movedBytes: 300 * kib, volumes: new Set(['v']) });
  expect(seen).toEqual([3000 * kib]);
  expect([...(await packsNamedBy('v'))]).toHaveLength(1);
  expect(await packsNamedBy('v')).not.toContain(old);
  const second = await upload('v', first);
  expect(second.body.packs).not.toContain(old);
  deletePack(old);
  await removeLocal();
  expect((await readFrom('v', 0)).equals(contents[0] ?? Buffer.alloc(0))).toBe(true);
  expect((await readFrom('v', 1)).equals(contents[1] ?? Buffer.alloc(0))).toBe(true);
  expect(await find()).toMatchObject([{ liveBytes: 300 * kib }]);
  expect(await find(new Map([[[...(await packsNamedBy('v'))][0] ?? '', 300 * kib]]))).toEqual([]);
});

test('what only a copy needs counts, and the copy has the new place too', async () => {
  await upload('v');
  await copyVolume(volumeOf('v'), { data: folder, id: 'c', isReadOnly: true, quota: noQuota });
  const [old = ''] = await packsNamedBy('v');
  await removeLarge('v');
  expect(await find(new Map([[old, 3000 * kib]]))).toEqual([]);
  // A pack of which nothing is known is taken for a full one, until it has been read.
  const found = await find();
  expect(found).toMatchObject([{ liveBytes: 3000 * kib }]);
  expect((await rewrite(found)).packs).toEqual([]);
  const copy = await openOne('c');
  expect((await rewrite(found.map((half) => ({ ...half, liveBytes: 1 })))).volumes).toEqual(new Set(['v', 'c']));
  deletePack(old);
  await removeLocal();
  expect(copy.metadata.facts().isReadOnly).toBe(true);
  for (const [index, content] of contents.entries()) expect((await readFrom('c', index)).equals(content)).toBe(true);
  expect(await packsNamedBy('c')).not.toContain(old);
});

test('a process that ends between two volumes leaves both readable, and the next run completes it', async () => {
  await upload('v');
  await copyVolume(volumeOf('v'), { data: folder, id: 'c', isReadOnly: false, quota: noQuota });
  await openOne('c');
  const [old = ''] = await packsNamedBy('v');
  for (const id of ['v', 'c']) await removeLarge(id);
  let renames = 0;
  const rename = async (id: string, renamed: readonly RenamedBlock[]): Promise<void> => {
    renames += 1;
    if (renames === 2) throw new Error('the end');
    await volumeOf(id).metadata.renameBlocks(renamed);
  };
  await expect(rewrite(await find(), { rename })).rejects.toThrow('the end');
  await removeLocal();
  for (const id of ['v', 'c']) expect((await readFrom(id, 0)).equals(contents[0] ?? Buffer.alloc(0))).toBe(true);
  const again = (await find()).filter(({ pack }) => pack === old);
  expect(again).toMatchObject([{ liveBytes: 300 * kib }]);
  await rewrite(again);
  deletePack(old);
  await removeLocal();
  for (const id of ['v', 'c']) expect((await readFrom(id, 1)).equals(contents[1] ?? Buffer.alloc(0))).toBe(true);
});

test('a block that was replaced since the plan keeps its own name', async () => {
  await upload('v');
  await removeLarge('v');
  const found = await find();
  const volume = volumeOf('v');
  const inode = await volume.metadata.lookup(1, Buffer.from('0'));
  await volume.write(inode?.ino ?? 0, Buffer.from('new'), { offset: 0 });
  await rewrite(found);
  expect((await readFrom('v', 0)).subarray(0, 3).toString()).toBe('new');
  expect((await readFrom('v', 0)).subarray(3).equals((contents[0] ?? Buffer.alloc(0)).subarray(3))).toBe(true);
});

test('nothing is renamed if the store refuses, the place is taken, or the pack is gone or has another form', async () => {
  await upload('v');
  const [old = ''] = await packsNamedBy('v');
  await removeLarge('v');
  const found = await find();
  access.fault = (method) => {
    if (method === 'put') throw new Error('full');
  };
  await expect(rewrite(found)).rejects.toThrow('full');
  access.fault = () => undefined;
  const taken = (): Promise<void> => Promise.reject(new Error('taken'));
  await expect(rewrite(found, { checkOwner: taken })).rejects.toThrow('taken');
  // A name that is not in the table of the pack.
  const wrong = found.map((half) => ({
    ...half,
    units: half.units.map((unit) => ({ ...unit, length: unit.length - 1 })),
  }));
  expect((await rewrite(wrong)).volumes.size).toBe(0);
  expect(await packsNamedBy('v')).toEqual(new Set([old]));
  deletePack(old);
  expect(await rewrite(found)).toMatchObject({ packs: [], movedBytes: 0 });
  expect(await packsNamedBy('v')).toEqual(new Set([old]));
});

test('pieces of metadata in packs to avoid are sent again', async () => {
  // Enough that a change leaves some pieces as they are.
  for (let index = 0; index < 100; index++) {
    const { ino } = await volumeOf('v').create(1, Buffer.from(`small-${index}`), owner);
    await volumeOf('v').write(ino, randomBytes(10 * kib), { offset: 0 });
  }
  const first = await upload('v');
  const packs = new Set(first.body.pieces.map(({ place }) => place.pack));
  const same = await upload('v', first);
  expect(same.body.pieces.some(({ place }) => packs.has(place.pack))).toBe(true);
  const second = await upload('v', first, packs);
  expect(second.body.pieces.some(({ place }) => packs.has(place.pack))).toBe(false);
});
