import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskBlobs } from '@soulbox/storage';
import { claimOwner, createBlobPacks, createParcels, eachPackedBlob, sealedObjects } from '@soulbox/vault';
import type { Parcels } from '@soulbox/vault';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HostRoom } from '../disk-budget/host-work.ts';
import { uploadDependencies } from './upload-dependencies.ts';

const { signal } = new AbortController();
const serverId = 'a'.repeat(20);
const keys = { runner: randomBytes(32), owner: randomBytes(32) };
const owner = { nonce: 'own', earlier: [] };
const mib = 2 ** 20;
const bytesOf = async function* (bytes: Buffer | string): AsyncGenerator<Buffer> {
  yield await Promise.resolve(Buffer.from(bytes));
};
let folder: string;
let access: MemoryAccess;
let parcels: Parcels;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upload-dependencies-'));
  access = memoryAccess();
  parcels = createParcels(objects(), keys.runner);
});
afterEach(async () => await rm(folder, { recursive: true }));

const objects = () => sealedObjects(access, serverId);
const directory = (): string => join(folder, 'dependencies');
const marker = (): string => join(folder, 'dependencies-in-store');
const claim = async (): Promise<void> => await claimOwner(objects(), owner, { key: keys.owner, signal });

const room = (freeBytes: number): HostRoom => ({
  admit: () => ({ [Symbol.dispose]: () => undefined }),
  figures: () => ({
    ...{ totalBytes: 2 ** 40, freeBytes, reserveBytes: 0, committedBytes: 256 * mib, toldBytes: 0 },
    ...{ disks: 0, stopped: 0 },
  }),
});

const start = (disks = room(2 ** 40)): AsyncDisposable =>
  uploadDependencies({
    ...{ access, serverId, owner, keys, disks, dataDirectory: folder, logger: silentLogger },
    limits: { lookMs: 10, awayMs: 10, pauseFactor: 0 },
  });

async function uploaded(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const take = async ({ key }: { key: string }, content: AsyncIterable<Buffer>): Promise<void> => {
    for await (const piece of content) found[key] = (found[key] ?? '') + String(piece);
  };
  await eachPackedBlob(parcels, 'dependencies', take, signal);
  return found;
}

/** What the lost server has uploaded: each blob is a pack. */
async function upload(contents: Readonly<Record<string, Buffer | string>>): Promise<void> {
  const blobs = await openDiskBlobs({ directory: join(folder, 'lost') });
  for (const [key, content] of Object.entries(contents)) await blobs.put(key, bytesOf(content));
  const limits = { packBytes: 1, packBlobs: 1, deadMs: 1e9 };
  const sources = [{ store: 'dependencies', blobs }];
  await createBlobPacks(parcels, 'dependencies', { sources, limits }).sync(signal);
}

const chunks = (): string[] => [...access.objects.keys()].filter((key) => key.includes('/data/dependencies/')).sort();
/** Without blobs that are being written. */
const local = async (): Promise<string[]> =>
  (await readdir(directory())).filter((name) => !name.startsWith('.new-')).sort();
const isMarked = async (): Promise<boolean> => (await readdir(folder)).includes('dependencies-in-store');

test('cached dependencies are uploaded as they are on the disk, once the place is taken', async () => {
  await using _uploading = start();
  const blobs = await openDiskBlobs({ directory: directory() });
  await blobs.put('team/key/one', bytesOf('encrypted'));
  await new Promise((done) => setTimeout(done, 50));
  expect(access.objects.size).toBe(0);
  await claim();
  await expect.poll(uploaded).toEqual({ 'team/key/one': 'encrypted' });
  await blobs.delete('team/key/one');
  await expect.poll(uploaded).toEqual({});
});

test('what a recovery has left in the store is fetched before anything is deleted there', async () => {
  await upload({ 'team/one': 'first', 'team/two': 'second' });
  await writeFile(marker(), '');
  const blobs = await openDiskBlobs({ directory: directory() });
  // A run is caching meanwhile.
  await writeFile(join(directory(), '.new-other'), 'half');
  await using _uploading = start();
  await new Promise((done) => setTimeout(done, 50));
  expect(await local()).toEqual([]);
  await claim();
  await expect.poll(isMarked).toBe(false);
  expect(await local()).toEqual(['team~one', 'team~two']);
  expect(await readdir(directory())).toContain('.new-other');
  await blobs.put('team/new', bytesOf('third'));
  await expect.poll(uploaded).toEqual({ 'team/one': 'first', 'team/two': 'second', 'team/new': 'third' });
});

test('a fetch that a stop has interrupted continues with the next start', async () => {
  await upload({ 'team/one': 'first', 'team/two': 'second' });
  await writeFile(marker(), '');
  await claim();
  await openDiskBlobs({ directory: directory() });
  const [, second = ''] = chunks();
  const isHeld = new Promise<void>((reached) => {
    access.fault = (method, key) => {
      if (method !== 'get' || key !== second) return;
      reached();
      throw new SoulBoxError('storage_unavailable', 'The store is away.');
    };
  });
  {
    await using _uploading = start();
    await isHeld;
  }
  expect(await isMarked()).toBe(true);
  expect(await local()).toHaveLength(1);
  // What is there already is not fetched again.
  const fetched: string[] = [];
  access.fault = (method, key) => void (method === 'get' && key.includes('/data/') && fetched.push(key));
  await using _uploading = start();
  await expect.poll(isMarked).toBe(false);
  expect(fetched).toEqual([second]);
  expect(await local()).toEqual(['team~one', 'team~two']);
  expect(await uploaded()).toEqual({ 'team/one': 'first', 'team/two': 'second' });
});

test('packs that are damaged are left out and removed', async () => {
  await upload({ 'team/one': 'first', 'team/two': 'second' });
  access.objects.get(chunks()[0] ?? '')?.fill(1, 33);
  await writeFile(marker(), '');
  await claim();
  await openDiskBlobs({ directory: directory() });
  await using _uploading = start();
  await expect.poll(isMarked).toBe(false);
  expect(await local()).toHaveLength(1);
  await expect.poll(() => chunks().length).toBe(1);
});

test('what the disk has no room for is left out, and the uploads go on', async () => {
  await mkdir(directory());
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'soulbox-test', directory()]);
  try {
    await upload({ 'team/large': Buffer.alloc(2_000_000, 'x') });
    await writeFile(marker(), '');
    await claim();
    await using _uploading = start();
    await expect.poll(isMarked).toBe(false);
    expect(await readdir(directory())).toEqual([]);
    await (await openDiskBlobs({ directory: directory() })).put('team/new', bytesOf('small'));
    await expect.poll(uploaded).toEqual({ 'team/new': 'small' });
  } finally {
    await run('umount', ['--', directory()]);
  }
});

test('nothing is fetched into room that is promised to sandboxes', async () => {
  await upload({ 'team/one': 'first' });
  await writeFile(marker(), '');
  await claim();
  await openDiskBlobs({ directory: directory() });
  const full: HostRoom = {
    ...room(0),
    admit(_, what) {
      throw new SoulBoxError('disk_full', `${what} needs room.`);
    },
  };
  await using _uploading = start(full);
  await expect.poll(isMarked).toBe(false);
  expect(await local()).toEqual([]);
});
