import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { DatabaseSync } from 'node:sqlite';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openRootKey, sealBlobs } from '@soulbox/keyring';
import type { SealedBlobs } from '@soulbox/keyring';
import { openTestKeyring } from '@soulbox/keyring/testing';
import { openDiskBlobs, openSqliteRecords } from '@soulbox/storage';
import type { BlobStream, Records } from '@soulbox/storage';
import { migrateBefore } from '@soulbox/storage/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sealOldBlobs } from './seal-old-blobs.ts';

let folder: string;
let records: Records;
let stores: readonly SealedBlobs[];
let asked: bigint[];
let fault: Error | undefined;
const runner = {
  async *holdHostRoom({ bytes }: { bytes: bigint }) {
    asked.push(bytes);
    if (fault !== undefined) throw fault;
    yield await Promise.resolve({});
  },
};
const names = ['functions', 'uploads'] as const;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-old-blobs-'));
  [asked, fault] = [[], undefined];
  const db = new DatabaseSync(join(folder, 'records.sqlite'));
  migrateBefore(db, 'CREATE TABLE blob_root_keys');
  db.close();
  for (const name of names) {
    const plain = await openDiskBlobs({ directory: join(folder, name) });
    for (const key of ['a', 'b']) await plain.put(key, Readable.from([Buffer.from(`canary ${name} ${key}`)]));
  }
  records = openSqliteRecords(join(folder, 'records.sqlite'));
  const plain = {
    uploads: await openDiskBlobs({ directory: join(folder, 'uploads') }),
    functions: await openDiskBlobs({ directory: join(folder, 'functions') }),
  };
  const root = await openRootKey(records.blobRootKeys, await openTestKeyring(records), { now: 1, stores: plain });
  const mayBeReadable = await records.sealing.areBlobsPending();
  stores = names.map((store) => sealBlobs(plain[store], { store, root, mayBeReadable }));
});
afterEach(async () => {
  await records[Symbol.asyncDispose]();
  await removeTree(folder);
});

const start = () => sealOldBlobs({ sealing: records.sealing, stores, runner, logger: silentLogger, retryMs: 20 });
const isReadable = async (): Promise<boolean[]> =>
  await Promise.all(
    names.flatMap((name) =>
      ['a', 'b'].map(async (key) => (await readFile(join(folder, name, key))).includes('canary')),
    ),
  );
const expectContent = async (): Promise<void> => {
  for (const [index, name] of names.entries())
    for (const key of ['a', 'b'])
      expect(await text((await stores[index]?.read(key)) as BlobStream)).toBe(`canary ${name} ${key}`);
};

it('encrypts what the version before stored, once, and then refuses readable blobs', async () => {
  expect(await records.sealing.areBlobsPending()).toBe(true);
  await expectContent();
  await using _sealing = start();
  await expect.poll(() => records.sealing.areBlobsPending()).toBe(false);
  expect(await isReadable()).toEqual([false, false, false, false]);
  expect(asked).toEqual([18n, 18n, 16n, 16n]);
  await expectContent();
  await expect.poll(() => stores.map(({ mayBeReadable }) => mayBeReadable)).toEqual([false, false]);
  // The other task of the same table is not this one.
  expect(await records.sealing.isPending()).toBe(true);
});

it('leaves everything readable while the disk is full or the runner is away, and ends when that is over', async () => {
  fault = new SoulBoxError('disk_full', 'full');
  await using _sealing = start();
  await expect.poll(() => asked.length).toBeGreaterThan(8);
  expect(await records.sealing.areBlobsPending()).toBe(true);
  expect(await isReadable()).toEqual([true, true, true, true]);
  await expectContent();
  fault = undefined;
  await expect.poll(() => records.sealing.areBlobsPending()).toBe(false);
  expect(await isReadable()).toEqual([false, false, false, false]);
  await expectContent();
});

it('stops with the server, and the next start continues', async () => {
  fault = new SoulBoxError('runner_unavailable', 'away');
  await start()[Symbol.asyncDispose]();
  fault = undefined;
  await using _sealing = start();
  await expect.poll(() => records.sealing.areBlobsPending()).toBe(false);
  await expectContent();
});
