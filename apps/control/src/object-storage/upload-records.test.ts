import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openDiskBlobs } from '@soulbox/storage';
import type { BlobStore } from '@soulbox/storage';
import { claimOwner, createParcels, eachPackedBlob, sealedObjects } from '@soulbox/vault';
import { aboutControlSchema } from '@soulbox/vault/stored';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { uploadRecords } from './upload-records.ts';

const serverId = 'a'.repeat(20);
const keys = { control: randomBytes(32), owner: randomBytes(32) };
const { signal } = new AbortController();
let folder: string;
let access: MemoryAccess;
let uploading: AsyncDisposable | undefined;
let blobs: BlobStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upload-records-'));
  access = memoryAccess();
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets', 'master-key'), 'a secret');
  await writeFile(join(folder, 'records.sqlite'), 'first');
  blobs = await openDiskBlobs({ directory: join(folder, 'functions') });
});
afterEach(async () => {
  await uploading?.[Symbol.asyncDispose]();
  await removeTree(folder);
});

const claim = async (nonce: string, earlier: string[] = []): Promise<void> =>
  await claimOwner(sealedObjects(access, serverId), { nonce, earlier }, { key: keys.owner, signal });

function start(): void {
  const recordsFile = join(folder, 'records.sqlite');
  uploading = uploadRecords({
    ...{ access, serverId, nonce: 'own', keys, recordsFile, logger: silentLogger },
    secretsDirectory: join(folder, 'secrets'),
    stageDirectory: join(folder, 'stage'),
    copyRecords: async (file) => await copyFile(recordsFile, file),
    blobs: [{ store: 'functions', blobs, directory: join(folder, 'functions') }],
    limits: { lookMs: 10, awayMs: 10, pauseFactor: 0 },
  });
}

/** The contents of the newest copy. */
async function newest(): Promise<Record<string, string> | undefined> {
  const parcels = createParcels(sealedObjects(access, serverId), keys.control);
  const names: string[] = [];
  for await (const name of parcels.list('control', signal)) names.push(name);
  const parcel = await parcels.open(names.sort().at(-1) ?? 'control/none', signal);
  if (parcel === undefined) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of parcel.content()) chunks.push(chunk);
  let text = Buffer.concat(chunks).toString();
  const files = aboutControlSchema.parse(parcel.about).files.map(({ path, sizeBytes }) => {
    const own = text.slice(0, sizeBytes);
    text = text.slice(sizeBytes);
    return [path, own] as const;
  });
  return Object.fromEntries(files);
}

test('records and secrets are uploaded once the place is taken, and again after each change', async () => {
  start();
  await new Promise((done) => setTimeout(done, 50));
  expect(access.objects.size).toBe(0);
  await claim('own');
  await expect.poll(newest).toEqual({
    'records.sqlite': 'first',
    'blobs.json': '[]',
    'secrets/master-key': 'a secret',
  });
  for (const content of ['second', 'third one', 'the fourth', 'and the fifth']) {
    await writeFile(join(folder, 'records.sqlite'), content);
    await expect.poll(async () => (await newest())?.['records.sqlite']).toBe(content);
  }
  await expect.poll(() => [...access.objects.keys()].filter((name) => name.includes('/index/control/')).length).toBe(3);
  expect(await readdir(folder)).not.toContain('stage');
});

test('nothing is uploaded without a change', async () => {
  await claim('own');
  start();
  await expect.poll(newest).toBeDefined();
  const before = [...access.objects.keys()];
  await new Promise((done) => setTimeout(done, 100));
  expect([...access.objects.keys()]).toEqual(before);
});

test('a blob is in the store before the copy of the records that follows it', async () => {
  await claim('own');
  start();
  await expect.poll(newest).toBeDefined();
  await blobs.put('kv/a', [Buffer.from('a value')] as never);
  const blob = { store: 'functions', key: 'kv/a', sizeBytes: 7 };
  await expect.poll(async () => (await newest())?.['blobs.json']).toBe(JSON.stringify([blob]));
  const found: unknown[] = [];
  const take = async (one: unknown, content: AsyncIterable<Buffer>): Promise<void> => {
    for await (const piece of content) found.push(one, String(piece));
  };
  const parcels = createParcels(sealedObjects(access, serverId), keys.control);
  expect(await eachPackedBlob(parcels, 'blobs', take, signal)).toEqual([]);
  expect(found).toEqual([blob, 'a value']);
  await blobs.delete('kv/a');
  await expect.poll(async () => (await newest())?.['blobs.json']).toBe('[]');
});

test('an upload that fails is tried again', async () => {
  await claim('own');
  let failures = 0;
  access.fault = (method) => {
    if (method === 'put' && failures++ < 3)
      throw new SoulBoxError('storage_access_denied', 'The credentials have expired.');
  };
  start();
  await expect.poll(newest).toBeDefined();
  expect(failures).toBeGreaterThan(3);
});

test('a server whose place another one has taken uploads nothing more', async () => {
  await claim('own');
  start();
  await expect.poll(newest).toBeDefined();
  await claim('another', ['own']);
  const before = [...access.objects.keys()];
  await writeFile(join(folder, 'records.sqlite'), 'changed by a copy');
  await new Promise((done) => setTimeout(done, 100));
  expect([...access.objects.keys()]).toEqual(before);
});
