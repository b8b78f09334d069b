import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { hasNginx, startNginx } from '@soulbox/cache/testing';
import {
  createContainer,
  emulatorAccount,
  hasAzurite,
  startAzurite,
  startGcsServer,
} from '@soulbox/storage/testing-objects';
import { isThere } from '@soulbox/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openObjectCache } from './object-cache.ts';
import { openStore } from './open-store.ts';

// A proxy in front of a store with another form of signed URLs than S3.

const { signal } = new AbortController();
const key = `servers/${'b'.repeat(20)}/data/states/s/${randomBytes(16).toString('hex')}/000000`;

async function readByProxy(storeUrl: string, url: string, credentials: object): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'object-cache-'));
  onTestFinished(() => removeTree(folder));
  const file = join(folder, 'credentials');
  await writeFile(file, JSON.stringify(credentials), { mode: 0o600 });
  const nginx = await startNginx(storeUrl);
  onTestFinished(() => nginx[Symbol.asyncDispose]());
  const store = await openStore(url, file);
  onTestFinished(() => store[Symbol.asyncDispose]());
  const settings = { memoryMb: 0, redis: '', redisCredentialsFile: '', http: nginx.url };
  const cache = await openObjectCache(settings, store, silentLogger);
  onTestFinished(() => cache?.[Symbol.asyncDispose]());
  const value = randomBytes(1_000_000);
  await store.put(key, value);
  expect((await cache?.get(key, { signal }))?.equals(value)).toBe(true);
  await store.delete(key);
  // The proxy has it still.
  expect((await cache?.get(key, { signal }))?.equals(value)).toBe(true);
  expect(cache?.figures()).toMatchObject({ sourceReads: 0, levels: [{ level: 'http', hits: 2, errors: 0 }] });
}

describe.skipIf(!isThere('nginx', hasNginx))('HTTP in front of', () => {
  test.skipIf(!isThere('azurite', hasAzurite))('Azure Blob Storage', async () => {
    const azurite = await startAzurite();
    onTestFinished(() => azurite[Symbol.asyncDispose]());
    await createContainer(azurite.url, 'container');
    const endpoint = `${azurite.url}/${emulatorAccount.name}`;
    const url = `azblob://container/p?account=${emulatorAccount.name}&endpoint=${endpoint}`;
    await readByProxy(azurite.url, url, { accountKey: emulatorAccount.key });
  });

  test('Google Cloud Storage', async () => {
    const server = await startGcsServer();
    onTestFinished(() => server[Symbol.asyncDispose]());
    await readByProxy(server.url, `gs://bucket/p?endpoint=${server.url}`, server.serviceAccount);
  });
});
