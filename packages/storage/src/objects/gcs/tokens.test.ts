/** @module-tag violation */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { inspect } from 'node:util';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startGcsServer } from '../../testing/gcs-server.ts';
import type { GcsServer } from '../../testing/gcs-server.ts';
import { startGoogleFront } from '../../testing/google-front.ts';
import type { GoogleFront } from '../../testing/google-front.ts';
import type { ObjectStore } from '../object-store.ts';
import { openObjectStore } from '../open-object-store.ts';

const retries = { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, budgetMs: 60_000, retryAfterMaxMs: 1 };
const trusted = getCACertificates('default');
let folder: string;
let server: GcsServer;
let front: GoogleFront;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-gcs-tokens-'));
  server = await startGcsServer();
  front = await startGoogleFront(server.url);
  setDefaultCACertificates([...trusted, front.certificate]);
  // Of the SDK only: fetch does not use it.
  vi.stubEnv('HTTPS_PROXY', front.proxyUrl);
  vi.stubEnv('NO_PROXY', '');
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  await use(server.serviceAccount);
});
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  setDefaultCACertificates(trusted);
  await front[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await removeTree(folder);
});

const path = (): string => join(folder, 'credentials');
const write = async (text: string): Promise<void> => await writeFile(path(), text, { mode: 0o600 });
const open = (): Promise<ObjectStore> =>
  openObjectStore(`gs://bucket/?endpoint=${front.url}`, { credentialsFile: path(), limits: { retries } });

/** Writes the key of the account to the file, and makes it the only one that gets tokens. */
async function use(account: Readonly<Record<string, string>>): Promise<void> {
  await write(JSON.stringify(account));
  const publicKey = createPublicKey(account['private_key'] ?? '').export({ type: 'spki', format: 'pem' });
  front.trust(publicKey.toString());
}

const newKey = (): string =>
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

test('each request has a token, also those of an upload in parts', async () => {
  await using store = await open();
  await store.put('a', Buffer.from('content'));
  const large = Buffer.alloc(9 * 1024 * 1024, 'x');
  await store.put(
    'large',
    (async function* () {
      yield await Promise.resolve(large);
    })(),
  );
  const { info } = await store.get('large');
  expect(info.sizeBytes).toBe(large.length);
  expect(front.tokens).toEqual(['token-1']);
  expect(front.authorizations.length).toBeGreaterThan(4);
  expect(new Set(front.authorizations)).toEqual(new Set(['Bearer token-1']));
});

test('a token that ends is renewed', async () => {
  front.liveFor(300 + 40);
  await using store = await open();
  await store.put('a', Buffer.from('1'));
  vi.advanceTimersByTime(30_000);
  await store.put('a', Buffer.from('2'));
  expect(front.tokens).toHaveLength(1);
  // Before the file is read again.
  vi.advanceTimersByTime(15_000);
  await store.put('a', Buffer.from('3'));
  expect(front.tokens).toHaveLength(2);
  expect(front.authorizations.at(-1)).toBe('Bearer token-2');
});

test('a key that changes in its file takes effect within a minute, and a broken file has none', async () => {
  await using store = await open();
  await store.put('a', Buffer.from('1'));
  await write('{"type":"service_account","private_key":"-----BEGIN');
  vi.advanceTimersByTime(61_000);
  await store.put('a', Buffer.from('2'));
  await use({ ...server.serviceAccount, private_key: newKey(), private_key_id: 'b' });
  vi.advanceTimersByTime(61_000);
  await store.put('a', Buffer.from('3'));
  expect((await store.stat('a'))?.sizeBytes).toBe(1);
});

test('an account that gets no token has no access, and its key is in no message', async () => {
  const account = { ...server.serviceAccount, private_key: newKey() };
  await write(JSON.stringify(account));
  await using store = await open();
  const refused = await store.put('a', Buffer.from('1')).catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({
    reason: 'storage_access_denied',
    message: expect.stringContaining('invalid_grant: No token is given.') as string,
  });
  expect(inspect(refused, { depth: 10 })).not.toContain(account.private_key.split('\n')[1]);
  expect(front.authorizations).toEqual([]);
});

test('a key that is none has no access, and is in no message', async () => {
  await write(JSON.stringify({ ...server.serviceAccount, private_key: 'hidden' }));
  await using store = await open();
  const refused = await store.put('a', Buffer.from('1')).catch((thrown: unknown) => thrown);
  expect(refused).toMatchObject({ reason: 'storage_access_denied' });
  expect(inspect(refused, { depth: 10 })).not.toContain('hidden');
});

test('an endpoint of tokens that is away is a store that is away', async () => {
  await using store = await open();
  front.refuse({ status: 503, error: 'unavailable' });
  await expect(store.put('a', Buffer.from('1'))).rejects.toMatchObject({ reason: 'storage_unavailable' });
  front.refuse(undefined);
  await store.put('a', Buffer.from('1'));
  vi.stubEnv('HTTPS_PROXY', 'http://127.0.0.1:1');
  vi.advanceTimersByTime(61_000);
  await expect(store.put('a', Buffer.from('1'))).rejects.toMatchObject({ reason: 'storage_unavailable' });
});
