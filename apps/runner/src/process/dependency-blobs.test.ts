import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '@soulbox/base/logger';
import { fileMasterKeys } from '@soulbox/keyring';
import type { Keyring } from '@soulbox/keyring';
import { openDiskBlobs, openDiskReserve } from '@soulbox/storage';
import type { BlobStore, DiskReserve } from '@soulbox/storage';
import { openDependencyBlobs } from './dependency-blobs.ts';
import { openRunnerKeys } from './open-keys.ts';

const key = `${'a'.repeat(32)}/project/${'b'.repeat(64)}-1800000000000`;
const content = 'packages that nobody else may read';
let data: string;
let reserve: DiskReserve;
let keyring: Keyring;

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'soulbox-dependencies-'));
  reserve = openDiskReserve(join(data, 'reserve'));
  keyring = await openKeys();
  return async () => {
    keyring[Symbol.dispose]();
    await rm(data, { recursive: true });
  };
});

async function openKeys(): Promise<Keyring> {
  return await openRunnerKeys({
    ...{ path: join(data, 'runner-keys.json'), dataDirectory: data, reserve },
    sources: [fileMasterKeys(join(data, 'secrets', 'master-key'))],
  });
}

async function open(): Promise<BlobStore> {
  const blobs = await openDependencyBlobs({ dataDirectory: data, keyring, reserve, logger: silentLogger });
  onTestFinished(async () => await blobs[Symbol.asyncDispose]());
  return blobs;
}

async function readBlob(blobs: BlobStore): Promise<string | undefined> {
  const stream = await blobs.read(key);
  return stream === undefined ? undefined : (await buffer(stream)).toString();
}

async function filesOfCache(): Promise<Buffer[]> {
  const directory = join(data, 'dependencies');
  return await Promise.all((await readdir(directory)).map(async (name) => await readFile(join(directory, name))));
}

test('archives are not readable on the disk, and open again after a restart', async () => {
  await (await open()).put(key, Readable.from([Buffer.from(content)]));
  const files = await filesOfCache();
  expect(files).toHaveLength(1);
  expect(files[0]?.includes(content)).toBe(false);
  expect((await readFile(join(data, 'dependencies-key.json'), 'utf8')).includes('"sealed"')).toBe(true);
  expect(await readBlob(await open())).toBe(content);
});

test.each([
  ['is missing', async (path: string) => await rm(path)],
  ['is damaged', async (path: string) => await writeFile(path, '{"id":')],
  [
    'is another one',
    async (path: string) => await writeFile(path, JSON.stringify({ id: '0'.repeat(32), sealed: 'x' })),
  ],
])('when the key %s, the cache begins anew', async (_what, change) => {
  await (await open()).put(key, Readable.from([Buffer.from(content)]));
  await change(join(data, 'dependencies-key.json'));
  const blobs = await open();
  expect(await blobs.list('')).toEqual([]);
  await blobs.put(key, Readable.from([Buffer.from('new')]));
  expect(await readBlob(await open())).toBe('new');
});

test('what an earlier version stored readable is removed, also its incomplete archives', async () => {
  const earlier = await openDiskBlobs({ directory: join(data, 'dependencies') });
  await earlier.put(key, Readable.from([Buffer.from(content)]));
  await earlier[Symbol.asyncDispose]();
  await mkdir(join(data, 'dependencies-new'));
  await writeFile(join(data, 'dependencies-new', 'half'), content);
  expect(await (await open()).list('')).toEqual([]);
  expect(await filesOfCache()).toEqual([]);
  expect(await readdir(data)).not.toContain('dependencies-new');
});
