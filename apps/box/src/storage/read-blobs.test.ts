/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { openDiskBlobs } from '@soulbox/storage';
import { createBlobPacks, createParcels, sealedObjects } from '@soulbox/vault';
import type { Parcels } from '@soulbox/vault';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readBlobs, readDependencies } from './read-blobs.ts';

const { signal } = new AbortController();
let folder: string;
let access: MemoryAccess;
let parcels: Parcels;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'read-blobs-'));
  access = memoryAccess();
  parcels = createParcels(sealedObjects(access, 'a'.repeat(20)), randomBytes(32));
  await mkdir(target());
});
afterEach(async () => await removeTree(folder));

const target = (): string => join(folder, 'data');

/** Uploads two blobs of functions, one upload, and one that was deleted before the last list was written. */
async function fill(): Promise<void> {
  const sources = [];
  for (const store of ['uploads', 'functions']) {
    const blobs = await openDiskBlobs({ directory: join(folder, store) });
    sources.push({ store, blobs });
    for (const key of ['team/one', 'kv/two']) await blobs.put(key, [Buffer.from(`${store} ${key}`)] as never);
  }
  // Each blob is a pack.
  const limits = { packBytes: 1, packBlobs: 1, deadMs: 1e9 };
  const packs = createBlobPacks(parcels, 'blobs', { sources, limits });
  await packs.sync(signal);
  await sources[0]?.blobs.delete('kv/two');
  const list = (await packs.sync(signal)).filter(({ store, key }) => store !== 'uploads' || key !== 'kv/two');
  await writeFile(join(target(), 'blobs.json'), JSON.stringify(list));
}

test('the blobs of the list are written where the server finds them, and no others', async () => {
  await fill();
  expect(await readBlobs(parcels, target(), signal)).toEqual([]);
  expect((await readdir(target())).sort()).toEqual(['functions', 'uploads']);
  expect((await readdir(join(target(), 'functions'))).sort()).toEqual(['kv~two', 'team~one']);
  expect(await readdir(join(target(), 'uploads'))).toEqual(['team~one']);
  expect(await readFile(join(target(), 'functions', 'kv~two'), 'utf8')).toBe('functions kv/two');
});

test('what is missing or damaged is counted for its folder, and the rest is written', async () => {
  await fill();
  const chunks = [...access.objects.keys()].filter((key) => key.includes('/data/blobs/'));
  for (const key of chunks.slice(1)) access.objects.get(key)?.fill(1, 33);
  const lost = await readBlobs(parcels, target(), signal);
  expect(lost.every(({ what }) => what === 'blobs')).toBe(true);
  expect(lost.map(({ reason }) => Number(/^\d/.exec(reason))).reduce((sum, one) => sum + one)).toBe(2);
  expect(lost[0]?.reason).toContain('was changed');
  const written = await Promise.all(['uploads', 'functions'].map(async (name) => await readdir(join(target(), name))));
  expect(written.flat()).toHaveLength(1);
});

test('a server of an earlier version has uploaded none', async () => {
  expect(await readBlobs(parcels, target(), signal)).toEqual([]);
  expect(await readdir(target())).toEqual([]);
});

test('cached dependencies are written, except for those that are damaged', async () => {
  const blobs = await openDiskBlobs({ directory: join(folder, 'dependencies') });
  for (const key of ['team/a', 'team/b']) await blobs.put(key, [Buffer.from(key)] as never);
  const limits = { packBytes: 1, packBlobs: 1, deadMs: 1e9 };
  const packs = createBlobPacks(parcels, 'dependencies', { sources: [{ store: 'dependencies', blobs }], limits });
  await packs.sync(signal);
  const [chunk = ''] = [...access.objects.keys()].filter((key) => key.includes('/data/dependencies/'));
  access.objects.get(chunk)?.fill(1, 33);
  await readDependencies(parcels, target(), signal);
  expect(await readdir(join(target(), 'dependencies'))).toHaveLength(1);
});
