import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { sealedObjects } from '@soulbox/vault';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { blockId, findPackPlace, nameInPack } from '../blocks/block-names.ts';
import { copyVolume } from '../copies/copy-volume.ts';
import { openPaths } from '../paths/open-paths.ts';
import { noQuota, root } from '../testing/fresh-volume.ts';
import { createVolume, openVolume } from '../volume/open.ts';
import type { Volume } from '../volume/open.ts';
import { blocksPath, metadataPath } from '../volume/places.ts';
import { collectPacks } from './collect.ts';
import { namesOf } from './block-rows.ts';
import { restoreVolume } from './restore-volume.ts';
import { openStoredVolumes } from './stored-volumes.ts';
import type { StoredVolumes } from './stored-volumes.ts';
import { countUnstored, uploadVolume } from './upload-volume.ts';
import type { UploadedGeneration } from './upload-volume.ts';

const { signal } = new AbortController();
const key = randomBytes(32);
const serverId = 'a'.repeat(20);
const mib = 1024 * 1024;
const place = { teamId: 't', groupId: 'g', volumeId: 'v' };
let folder: string;
let access: MemoryAccess;
let stored: StoredVolumes;
let volume: Volume;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stored-'));
  access = memoryAccess();
  stored = openStored();
  createVolume(folder, { id: 'v', quota: noQuota, root });
  volume = await openOne();
});
afterEach(async () => {
  await volume[Symbol.asyncDispose]();
  await stored[Symbol.asyncDispose]();
  await removeTree(folder);
});

function openStored(localBytes?: number): StoredVolumes {
  const objects = sealedObjects(access, serverId);
  return openStoredVolumes({ objects, key, directory: tmpdir(), localBytes, logger: silentLogger });
}

async function openOne(data = folder, id = 'v'): Promise<Volume> {
  return await openVolume(data, id, { openBlocks: (path) => stored.group('g', path).handle() });
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(content);
}
const write = async (path: string, content: Buffer, into = volume): Promise<unknown> =>
  await openPaths(into).write(path, once(content), { ...root, mode: 0o644 });

async function read(path: string, from = volume): Promise<Buffer> {
  const pieces: Buffer[] = [];
  using result = await openPaths(from).read(path);
  for await (const piece of result.stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function inoOf(name: string, of = volume): Promise<number> {
  const inode = await of.metadata.lookup(1, Buffer.from(name));
  if (inode === undefined) throw new Error(`${name} is missing`);
  return inode.ino;
}

async function readRaw(name: string, from: Volume): Promise<Buffer> {
  return await from.read(await inoOf(name, from), 0, 100);
}

async function listLocal(): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { bytes } of volume.blocks.list()) sizes.push(bytes);
  return sizes;
}

async function upload(last?: UploadedGeneration, of = volume, where = place): Promise<UploadedGeneration> {
  return await uploadVolume({
    ...{ volume: of, blocks: stored.group('g', blocksPath(folder)), data: folder, stage: join(folder, 'stage') },
    ...{ place: where, numbers: last === undefined ? [] : [last.generation.number], last: last?.body, signal },
    ...{ packs: stored.packs, generations: stored.generations, digestKey: stored.digestKey },
    checkOwner: async () => await Promise.resolve(),
  });
}

/** The volume on a host that has nothing but the store. */
async function recover({ generation }: UploadedGeneration): Promise<Volume> {
  const data = join(folder, `recovered-${randomBytes(4).toString('hex')}`);
  await restoreVolume({ packs: stored.packs, generation, data, signal });
  stored.drop('g');
  return await openOne(data);
}

const packsInStore = (): string[] => [...access.objects.keys()].filter((name) => name.includes('/packs/'));

test('a volume is read on another host, without a byte of the first one', async () => {
  const [large, small, tiny] = [randomBytes(10 * mib + 7), randomBytes(100_000), Buffer.from('tiny')];
  await write('/large', large);
  await write('/small', small);
  await write('/tiny', tiny);
  const first = await upload();
  expect(countUnstored(metadataPath(folder, 'v'))).toEqual({ blocks: 0, bytes: 0 });
  expect(first.generation).toMatchObject({ number: 1, missingBlocks: 0, ...place });
  await using other = await recover(first);
  expect((await read('/large', other)).equals(large)).toBe(true);
  expect((await read('/small', other)).equals(small)).toBe(true);
  expect((await read('/tiny', other)).equals(tiny)).toBe(true);
  // It can be changed there, also in the middle of a block that is in the store.
  await other.write(await inoOf('large', other), Buffer.from('changed'), { offset: 5 * mib });
  large.write('changed', 5 * mib);
  expect((await read('/large', other)).equals(large)).toBe(true);
});

test('a generation is the volume of one moment, and what was there before is not sent again', async () => {
  const content = randomBytes(9 * mib);
  await write('/large', content);
  const first = await upload();
  const count = packsInStore().length;
  await volume.write(await inoOf('large'), Buffer.from('later'), { offset: 0 });
  const second = await upload(first);
  // The block that was changed, and pages of the metadata: the other two blocks stay where they are.
  expect(second.sent.bytes).toBeLessThan(5 * mib);
  expect(packsInStore().length).toBe(count + 2);
  await using before = await recover(first);
  expect((await read('/large', before)).equals(content)).toBe(true);
  await using after = await recover(second);
  content.write('later');
  expect((await read('/large', after)).equals(content)).toBe(true);
});

test('5,000 small files are a few packs', async () => {
  for (let index = 0; index < 5000; index++)
    await write(`/file-${index}`, randomBytes(index % 100 === 0 ? 40_000 : 4400));
  await upload();
  expect(access.objects.size).toBeLessThan(20);
});

test('a copy does not send again what its source has sent', async () => {
  await write('/large', randomBytes(20 * mib));
  await copyVolume(volume, { data: folder, id: 'c', isReadOnly: true, quota: noQuota });
  await upload();
  await using copy = await openOne(folder, 'c');
  const { sent } = await upload(undefined, copy, { ...place, volumeId: 'c' });
  expect(sent.bytes).toBeLessThan(mib);
});

test('blocks that are deleted while they are uploaded stay until they are in the store', async () => {
  const content = randomBytes(20 * mib);
  await write('/large', content);
  let isChanged = false;
  access.fault = (method) => {
    if (method !== 'put' || isChanged) return;
    isChanged = true;
    void openPaths(volume)
      .remove('/large', { recursive: false, signal })
      .then(async () => await volume.sync());
  };
  const first = await upload();
  expect(first.generation.missingBlocks).toBe(0);
  await using other = await recover(first);
  expect((await read('/large', other)).equals(content)).toBe(true);
  await volume.sync();
  const left = await readdir(blocksPath(folder), { recursive: true, withFileTypes: true });
  expect(left.filter((entry) => entry.isFile())).toEqual([]);
});

test('what was stored before an error is not sent again', async () => {
  const content = randomBytes(100 * mib);
  await write('/large', content);
  let puts = 0;
  access.fault = (method) => {
    if (method === 'put' && ++puts > 6) throw new SoulBoxError('storage_unavailable', 'The store is away.');
  };
  await expect(upload()).rejects.toMatchObject({ reason: 'storage_unavailable' });
  expect(countUnstored(metadataPath(folder, 'v')).bytes).toBeLessThan(60 * mib);
  access.fault = () => undefined;
  const { sent, generation } = await upload();
  expect(sent.bytes).toBeLessThan(60 * mib);
  await using other = await recover({ generation } as UploadedGeneration);
  expect((await read('/large', other)).equals(content)).toBe(true);
});

test.each(['missing', 'changed', 'cut', 'exchanged'])(
  'a pack that is %s is an error for its file only',
  async (how) => {
    await write('/good', randomBytes(5 * mib));
    const good = await upload();
    const before = new Set(packsInStore());
    await write('/bad', randomBytes(5 * mib));
    const second = await upload(good);
    const bodies = new Set(second.generation.body.map(({ pack }) => pack));
    const [bad = '', other = ''] = packsInStore().filter((name) => !before.has(name) && !bodies.has(name.slice(-32)));
    const bytes = access.objects.get(bad) ?? Buffer.alloc(0);
    if (how === 'missing') access.objects.delete(bad);
    else if (how === 'changed') bytes.writeUInt8(bytes.readUInt8(bytes.length - 100) ^ 1, bytes.length - 100);
    else if (how === 'cut') access.objects.set(bad, bytes.subarray(0, bytes.length - 1));
    else access.objects.set(bad, access.objects.get(other === '' ? ([...before][0] ?? '') : other) ?? bytes);
    await using recovered = await recover(second);
    await expect(readRaw('bad', recovered)).rejects.toMatchObject({ code: 'EIO' });
    expect((await read('/good', recovered)).length).toBe(5 * mib);
  },
);

test('a block that is gone on the disk does not keep the rest from the store', async () => {
  await write('/bad', randomBytes(100_000));
  for await (const name of namesOf(metadataPath(folder, 'v'))) await volume.blocks.remove([name]);
  await write('/good', Buffer.from('good'));
  const first = await upload();
  expect(first.generation.missingBlocks).toBe(1);
  await using other = await recover(first);
  expect((await read('/good', other)).toString()).toBe('good');
  await expect(readRaw('bad', other)).rejects.toMatchObject({ code: 'EIO' });
});

test('only blocks that are in the store leave the disk, the least recently read first', async () => {
  await volume[Symbol.asyncDispose]();
  await stored[Symbol.asyncDispose]();
  stored = openStored(5 * mib);
  volume = await openOne();
  const contents = [randomBytes(3 * mib), randomBytes(3 * mib), randomBytes(3 * mib)];
  const groups = [{ data: folder, blocks: stored.group('g', blocksPath(folder)), copies: () => 1, sync: volume.sync }];
  await write('/0', contents[0] ?? Buffer.alloc(0));
  await write('/1', contents[1] ?? Buffer.alloc(0));
  expect(await stored.cache.trim(groups)).toEqual({ blocks: 0, bytes: 0 });
  await upload();
  await write('/2', contents[2] ?? Buffer.alloc(0));
  await read('/0');
  expect(await stored.cache.trim(groups)).toEqual({ blocks: 2, bytes: 6 * mib });
  expect(await listLocal()).toEqual([3 * mib]);
  for (const [index, content] of contents.entries()) expect((await read(`/${index}`)).equals(content)).toBe(true);
  await expect.poll(async () => (await listLocal()).length).toBe(3);
  // While a copy is made, nothing is removed.
  expect(await stored.cache.trim(groups.map((group) => ({ ...group, copies: () => undefined })))).toEqual({
    blocks: 0,
    bytes: 0,
  });
});

test('packs that no generation and no volume names are deleted after the grace', async () => {
  await write('/a', randomBytes(5 * mib));
  const first = await upload();
  await write('/a', randomBytes(5 * mib));
  const second = await upload(first);
  const waiting = new Map<string, number>();
  const collect = async (nowMs: number, numbers: readonly number[]): Promise<number> => {
    const named = new Set<string>();
    for await (const name of namesOf(metadataPath(folder, 'v'))) named.add(name.slice(33, 65));
    return await collectPacks({
      ...{ group: 'g', packs: stored.packs, generations: stored.generations, kept: new Map([['v', numbers]]), named },
      ...{ forget: () => undefined, graceMs: 1000, nowMs, waiting, signal },
    });
  };
  expect([await collect(0, [1, 2]), await collect(5000, [1, 2])]).toEqual([0, 0]);
  await expect(collect(5000, [1, 2, 3])).rejects.toMatchObject({ reason: 'storage_damaged' });
  await stored.generations.delete('v', 1, signal);
  expect([await collect(6000, [2]), await collect(6500, [2])]).toEqual([0, 0]);
  expect(await collect(7000, [2])).toBeGreaterThan(0);
  await using other = await recover(second);
  expect((await read('/a', other)).equals(await read('/a'))).toBe(true);
});

test('the name of a block in the store says where it is', () => {
  const place = { pack: 'b'.repeat(32), at: 1, length: 2 };
  const name = nameInPack('a'.repeat(32), place);
  expect([blockId(name), findPackPlace(name), findPackPlace(blockId(name))]).toEqual([
    ...['a'.repeat(32), place, undefined],
  ]);
});
