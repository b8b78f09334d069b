/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { openDiskBlobs } from '@soulbox/storage';
import type { BlobStore } from '@soulbox/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBlobPacks, eachPackedBlob } from './blob-packs.ts';
import type { BlobPacks, PackLimits } from './blob-packs.ts';
import { createParcels } from './parcels.ts';
import type { Parcels } from './parcels.ts';
import { sealedObjects } from './sealed-objects.ts';
import { memoryAccess } from './testing/memory-access.ts';
import type { MemoryAccess } from './testing/memory-access.ts';

const { signal } = new AbortController();
const limits: PackLimits = { packBytes: 10_000, packBlobs: 100, deadMs: 3600_000 };
let folder: string;
let access: MemoryAccess;
let parcels: Parcels;
let stores: { readonly uploads: BlobStore; readonly functions: BlobStore };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blob-packs-'));
  access = memoryAccess();
  parcels = createParcels(sealedObjects(access, 'a'.repeat(20)), randomBytes(32), { pauseMs: 1, totalMs: 0 });
  stores = {
    uploads: await openDiskBlobs({ directory: join(folder, 'uploads') }),
    functions: await openDiskBlobs({ directory: join(folder, 'functions') }),
  };
});
afterEach(async () => await removeTree(folder));

const packs = (more: Partial<PackLimits> = {}): BlobPacks =>
  createBlobPacks(parcels, 'blobs', {
    sources: Object.entries(stores).map(([store, blobs]) => ({ store, blobs })),
    limits: { ...limits, ...more },
  });
const put = async (store: keyof typeof stores, key: string, content: Buffer | string): Promise<void> => {
  await stores[store].put(key, [Buffer.from(content)] as never);
};

async function stored(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const take = async ({ store, key }: { store: string; key: string }, content: AsyncIterable<Buffer>) => {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    found[`${store}/${key}`] = Buffer.concat(chunks).toString('latin1');
  };
  expect(await eachPackedBlob(parcels, 'blobs', take, signal)).toEqual([]);
  return found;
}

const indexes = (): string[] => [...access.objects.keys()].filter((key) => key.includes('/index/blobs/'));

test('many blobs of both stores are in few packs, and are read back as they were', async () => {
  const expected: Record<string, string> = {};
  for (let number = 0; number < 250; number += 1) {
    const store = number % 2 === 0 ? 'uploads' : 'functions';
    const content = randomBytes(number % 100);
    await put(store, `team/${number}`, content);
    expected[`${store}/team/${number}`] = content.toString('latin1');
  }
  const large = randomBytes(9 * 1024 * 1024);
  await put('functions', 'large', large);
  expected['functions/large'] = large.toString('latin1');
  const one = packs();
  expect(await one.sync(signal)).toHaveLength(251);
  expect(await stored()).toEqual(expected);
  expect(indexes().length).toBeLessThanOrEqual(4);
  const before = [...access.objects.keys()];
  await one.sync(signal);
  await packs().sync(signal);
  expect([...access.objects.keys()], 'without a change, nothing is written').toEqual(before);
});

test('only what is new is uploaded, and a pack of which a quarter is gone is replaced', async () => {
  for (const key of ['a', 'b', 'c', 'd', 'e']) await put('uploads', key, randomBytes(1000));
  const one = packs();
  await one.sync(signal);
  const [first] = indexes();
  await put('uploads', 'f', randomBytes(500));
  await stores.uploads.delete('a');
  expect((await one.sync(signal)).map(({ key }) => key).sort()).toEqual(['b', 'c', 'd', 'e', 'f']);
  expect(indexes()).toContain(first);
  expect(indexes()).toHaveLength(2);
  await stores.uploads.delete('b');
  await one.sync(signal);
  expect(indexes()).not.toContain(first);
  expect(Object.keys(await stored()).sort()).toEqual(['uploads/c', 'uploads/d', 'uploads/e', 'uploads/f']);
  for (const key of ['c', 'd', 'e', 'f']) await stores.uploads.delete(key);
  await one.sync(signal);
  expect([...access.objects.keys()]).toEqual([]);
});

test('a deleted blob is gone from the store in time, however small it was', async () => {
  await put('uploads', 'small', 'x');
  await put('uploads', 'other', randomBytes(1000));
  const one = packs({ deadMs: 120 });
  await one.sync(signal);
  await stores.uploads.delete('small');
  await one.sync(signal);
  expect(Object.keys(await stored())).toContain('uploads/small');
  expect(one.isDue()).toBe(false);
  await new Promise((done) => setTimeout(done, 130));
  expect(one.isDue()).toBe(true);
  await one.sync(signal);
  expect(one.isDue()).toBe(false);
  expect(Object.keys(await stored())).toEqual(['uploads/other']);
});

test('a process that is killed at any call of the store leaves what the next one completes', async () => {
  for (let round = 0; round < 12; round += 1) {
    for (let number = 0; number < 6; number += 1) await put('uploads', `${round}/${number}`, randomBytes(3000));
    for (const { key } of (await stores.uploads.list('')).filter((_, at) => at % 5 === round % 5))
      await stores.uploads.delete(key);
    let calls = 0;
    access.fault = () => {
      calls += 1;
      if (calls > round * 2) throw new SoulBoxError('storage_unavailable', 'The process is gone.');
    };
    await packs()
      .sync(signal)
      .catch(() => undefined);
    access.fault = () => undefined;
    const live = await packs().sync(signal);
    const expected = (await stores.uploads.list('')).map(({ key }) => `uploads/${key}`).sort();
    expect(live.map(({ store, key }) => `${store}/${key}`).sort()).toEqual(expected);
    expect(Object.keys(await stored()).sort()).toEqual(expect.arrayContaining(expected));
  }
});

test('a damaged pack does not stop the others, and a damaged index is replaced', async () => {
  for (const key of ['a', 'b', 'c']) await put('uploads', key, randomBytes(12_000));
  await packs().sync(signal);
  const [chunk] = [...access.objects.keys()].filter((key) => key.includes('/data/blobs/'));
  const bytes = access.objects.get(chunk ?? '');
  bytes?.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
  const taken: string[] = [];
  const faults = await eachPackedBlob(
    parcels,
    'blobs',
    async ({ key }, content) => {
      for await (const _ of content);
      taken.push(key);
    },
    signal,
  );
  expect(taken).toHaveLength(2);
  expect(faults).toEqual([expect.stringContaining('was changed')]);
  const [index] = indexes();
  access.objects.get(index ?? '')?.fill(0);
  await packs().sync(signal);
  expect(indexes()).not.toContain(index);
});

test('what is not read of a pack is skipped, and not fetched if nothing after it is wanted', async () => {
  const contents = ['a', 'b', 'c', 'd'].map((key) => ({ key, content: randomBytes(3000) }));
  for (const { key, content } of contents) await put('uploads', key, content);
  await put('uploads', 'e', '');
  await packs({ packBytes: 1e6 }).sync(signal);
  let fetches = 0;
  access.fault = (method, key) => void (method === 'get' && key.includes('/data/') && (fetches += 1));
  const read = async (wanted: readonly string[]): Promise<Record<string, Buffer>> => {
    const found: Record<string, Buffer> = {};
    const take = async ({ key }: { key: string }, content: AsyncGenerator<Buffer>): Promise<void> => {
      if (wanted.includes(key)) found[key] = await buffer(content);
    };
    expect(await eachPackedBlob(parcels, 'blobs', take, signal)).toEqual([]);
    return found;
  };
  expect(await read(['e'])).toEqual({ e: Buffer.alloc(0) });
  expect(fetches).toBe(0);
  expect(await read(['b', 'd'])).toEqual({ b: contents[1]?.content, d: contents[3]?.content });
  expect(fetches).toBe(1);
});

test('a pack of a newer version is refused, and stays', async () => {
  async function* content(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from('x'));
  }
  await parcels.put('blobs/a', content(), { signal, about: { format: 2 } });
  await expect(packs().sync(signal)).rejects.toMatchObject({ reason: 'state_incompatible' });
  expect(indexes()).toHaveLength(1);
});
