import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { describeObjectFaults } from '../../conformance/object-faults.ts';
import { describeObjects } from '../../conformance/objects.ts';
import { createContainer, emulatorAccount, hasAzurite, startAzurite } from '../../testing/azurite.ts';
import { startFaultProxy } from '../../testing/fault-proxy.ts';
import type { FaultProxy } from '../../testing/fault-proxy.ts';
import type { ObjectStore } from '../object-store.ts';
import { openObjectStore } from '../open-object-store.ts';
import type { StoreLimits } from '../store-options.ts';

// Without azurite a test of this file fails in CI and says so elsewhere.
test.skipIf(!hasAzurite && process.env['CI'] === undefined)('azurite is installed', () =>
  expect(hasAzurite).toBe(true),
);

describe.skipIf(!hasAzurite)('with azurite', () => {
  let folder: string;
  let azurite: Awaited<ReturnType<typeof startAzurite>>;
  let proxy: FaultProxy;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'soulbox-azure-'));
    await writeFile(join(folder, 'key'), JSON.stringify({ accountKey: emulatorAccount.key }), { mode: 0o600 });
    azurite = await startAzurite();
    await createContainer(azurite.url, 'container');
    proxy = await startFaultProxy(azurite.url);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await azurite[Symbol.asyncDispose]();
    await removeTree(folder);
  });

  const open = (prefix: string, limits: Partial<StoreLimits> = {}): Promise<ObjectStore> => {
    const endpoint = `${proxy.url}/${emulatorAccount.name}`;
    const url = `azblob://container/${prefix}?account=${emulatorAccount.name}&endpoint=${endpoint}`;
    return openObjectStore(url, { credentialsFile: join(folder, 'key'), limits });
  };

  describeObjects('Azure Blob Storage', { open: (prefix) => open(`of azure/ü+%25/${prefix}`) });

  describeObjectFaults('Azure Blob Storage', {
    proxy: () => proxy,
    open: (limits) => open('', limits),
    error: (status) => ({
      kind: 'answer',
      status,
      headers: { 'x-ms-error-code': status === 403 ? 'AuthorizationFailure' : 'None' },
    }),
    isPut: ({ method, path, headers }) =>
      method === 'PUT' && !path.includes('comp=') && headers['x-ms-copy-source'] === undefined,
    isPart: ({ method, path }) => method === 'PUT' && path.includes('comp=block&'),
    isFinish: ({ method, path }) => method === 'PUT' && path.includes('comp=blocklist'),
  });

  afterEach(() => void vi.useRealTimers());

  test('a key that changes in its file takes effect within a minute, and a broken file has none', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] });
    const credentialsFile = join(folder, 'rotated');
    const write = async (accountKey: string): Promise<void> =>
      await writeFile(credentialsFile, JSON.stringify({ accountKey }), { mode: 0o600 });
    await write(emulatorAccount.key);
    const endpoint = `${proxy.url}/${emulatorAccount.name}`;
    const url = `azblob://container/?account=${emulatorAccount.name}&endpoint=${endpoint}`;
    await using store = await openObjectStore(url, { credentialsFile });
    await store.put('rotated', Buffer.from('a'));
    await writeFile(credentialsFile, '{"accountKey":"');
    vi.advanceTimersByTime(61_000);
    await store.put('rotated', Buffer.from('b'));
    const wrong = randomBytes(64).toString('base64');
    await write(wrong);
    vi.advanceTimersByTime(61_000);
    await expect(store.put('rotated', Buffer.from('c'))).rejects.toMatchObject({
      reason: 'storage_access_denied',
      message: expect.not.stringContaining(wrong) as string,
    });
    await write(emulatorAccount.key);
    vi.advanceTimersByTime(61_000);
    await store.put('rotated', Buffer.from('d'));
  });
});

test('a list that is none is an error of the store', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/xml' }).end('<a/>');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `azblob://container?account=some&endpoint=http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const retries = { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, budgetMs: 1, retryAfterMaxMs: 1 };
  await using store = await openObjectStore(url, { credentials: 'anonymous', limits: { retries } });
  for (const combinesFolders of [true, false])
    await expect(store.list({ combinesFolders })).rejects.toMatchObject({ reason: 'storage_unavailable' });
  server.closeAllConnections();
  server.close();
});
