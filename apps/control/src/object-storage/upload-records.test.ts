import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { claimOwner, createParcels, sealedObjects } from '@soulbox/vault';
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
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'upload-records-'));
  access = memoryAccess();
  await mkdir(join(folder, 'secrets'));
  await writeFile(join(folder, 'secrets', 'master-key'), 'a secret');
  await writeFile(join(folder, 'records.sqlite'), 'first');
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
  await expect.poll(newest).toEqual({ 'records.sqlite': 'first', 'secrets/master-key': 'a secret' });
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
