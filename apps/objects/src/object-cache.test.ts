/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { hasNginx, hasValkey, startNginx, startValkey } from '@soulbox/cache/testing';
import type { TestValkey } from '@soulbox/cache/testing';
import { hasMoto, startFaultProxy, startMoto } from '@soulbox/storage/testing-objects';
import type { FaultProxy } from '@soulbox/storage/testing-objects';
import { isThere } from '@soulbox/testing';
import { readCacheFigures, sealedObjects, socketAccess } from '@soulbox/vault';
import type { CacheFigures, SealedObjects } from '@soulbox/vault';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { isImmutable, openObjectCache } from './object-cache.ts';
import type { ObjectCacheSettings } from './object-cache.ts';
import { openStore } from './open-store.ts';
import { serveObjects } from './serve-objects.ts';

const serverId = 'b'.repeat(20);
const key = randomBytes(32);
const { signal } = new AbortController();
const none: ObjectCacheSettings = { memoryMb: 0, redis: '', redisCredentialsFile: '', http: '' };
const chunkBytes = 8 * 1024 * 1024;

test('only contents in chunks and packs are cached', () => {
  expect(isImmutable(`servers/${serverId}/volumes/packs/${'a'.repeat(20)}/${'b'.repeat(32)}`)).toBe(true);
  expect(isImmutable(`servers/${serverId}/data/states/a/b/000000`)).toBe(true);
  for (const name of [
    'owner',
    'index/states/a',
    'records/a',
    'files',
    'data',
    'volumes/owner',
    'volumes/generations/v/1',
  ])
    expect(isImmutable(`servers/${serverId}/${name}`)).toBe(false);
  expect(isImmutable('data/states/a')).toBe(false);
  expect(isImmutable(`x/servers/${serverId}/data/a`)).toBe(false);
});

interface Host {
  readonly objects: SealedObjects;
  figures(): Promise<CacheFigures['levels'][number] & Pick<CacheFigures, 'sourceReads'>>;
}

const isReady = [isThere('moto', hasMoto), isThere('valkey-server', hasValkey), isThere('nginx', hasNginx)].every(
  Boolean,
);

describe.skipIf(!isReady)('in front of S3', () => {
  const parts = new AsyncDisposableStack();
  let folder: string;
  let store: FaultProxy;
  let cdn: FaultProxy;
  let valkey: TestValkey;
  let count = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'object-cache-'));
    parts.defer(async () => await removeTree(folder));
    await writeFile(join(folder, 'credentials'), '{"accessKeyId":"a","secretAccessKey":"b"}', { mode: 0o600 });
    const moto = parts.use(await startMoto());
    await fetch(`${moto.url}/bucket`, { method: 'PUT' });
    store = parts.use(await startFaultProxy(moto.url));
    const nginx = parts.use(await startNginx(store.url));
    cdn = parts.use(await startFaultProxy(nginx.url));
    valkey = parts.use(await startValkey(['--requirepass', 'secret']));
    await writeFile(join(folder, 'redis'), '{"password":"secret"}', { mode: 0o600 });
  }, 120_000);
  afterAll(async () => await parts.disposeAsync());
  beforeEach(() => {
    store.use(() => undefined);
    cdn.use(() => undefined);
  });

  const redis = (): Partial<ObjectCacheSettings> => ({
    redis: valkey.url,
    redisCredentialsFile: join(folder, 'redis'),
  });

  /** A process of the object store, of which each host has one. */
  async function startHost(settings: Partial<ObjectCacheSettings>): Promise<Host> {
    const url = `s3://bucket/p?region=us-east-1&endpoint=${store.url}`;
    const opened = await openStore(url, join(folder, 'credentials'));
    onTestFinished(() => opened[Symbol.asyncDispose]());
    const cache = await openObjectCache({ ...none, ...settings }, opened, silentLogger);
    if (cache !== undefined) onTestFinished(() => cache[Symbol.asyncDispose]());
    const path = join(folder, `s${count++}`);
    const served = await serveObjects({ store: opened, cache, place: { path }, logger: silentLogger });
    onTestFinished(() => served[Symbol.asyncDispose]());
    // The connection to Redis is made in the background.
    if (settings.redis !== undefined) await sleep(200);
    return {
      objects: sealedObjects(socketAccess(path), serverId),
      async figures() {
        const figures = await readCacheFigures(path, signal);
        const [level] = figures?.levels ?? [];
        if (figures === undefined || level === undefined) throw new Error('There is no cache.');
        return { ...level, sourceReads: figures.sourceReads };
      },
    };
  }

  const nameOf = (what: string): string => `data/states/s/${randomBytes(16).toString('hex')}/${what}`;
  async function write(host: Host, bytes = 100_000): Promise<{ readonly name: string; readonly plain: Buffer }> {
    const written = { name: nameOf('000000'), plain: randomBytes(bytes) };
    await host.objects.put(written.name, Buffer.from(written.plain), { key, signal });
    return written;
  }
  const isRead = async (host: Host, { name, plain }: { name: string; plain: Buffer }): Promise<boolean> =>
    (await host.objects.get(name, { key, signal }))?.plain.equals(plain) === true;

  test('without settings there is no cache, and a chunk is one request of the store each way', async () => {
    const host = await startHost({});
    store.use(() => undefined);
    const written = await write(host, chunkBytes);
    expect(await isRead(host, written)).toBe(true);
    expect(store.requests.map(({ method }) => method)).toEqual(['PUT', 'GET']);
    await expect(host.figures()).rejects.toThrow('There is no cache.');
  });

  test('memory: the second read of a chunk needs no store, a deleted one is gone, and an index is always read', async () => {
    const host = await startHost({ memoryMb: 32 });
    const written = await write(host, chunkBytes);
    expect([await isRead(host, written), await isRead(host, written)]).toEqual([true, true]);
    expect(await host.figures()).toMatchObject({ level: 'memory', hits: 1, misses: 1, sourceReads: 1 });
    await host.objects.delete(written.name, signal);
    expect(await host.objects.get(written.name, { key, signal })).toBeUndefined();
    for (const text of ['old', 'new']) {
      await host.objects.put('index/states/s', Buffer.from(text), { key, signal });
      expect(String((await host.objects.get('index/states/s', { key, signal }))?.plain)).toBe(text);
    }
  });

  test('Redis: what two hosts have read, a third one gets without the store', async () => {
    const hosts = await Promise.all([1, 2, 3].map(async () => await startHost(redis())));
    const [first, second, third] = hosts as [Host, Host, Host];
    const written = await write(first);
    const ofRedis = `soulbox:1:servers/${serverId}/${written.name}`;
    const isThereNow = async (name: string): Promise<void> => {
      while ((await valkeyCommand(valkey, 'EXISTS', name)) !== ':1') await sleep(20);
    };
    expect(await isRead(first, written)).toBe(true);
    await isThereNow(ofRedis.replace(':1:', ':1:seen:'));
    expect(await valkeyCommand(valkey, 'EXISTS', ofRedis)).toBe(':0');
    expect(await isRead(second, written)).toBe(true);
    await isThereNow(ofRedis);
    store.use(() => ({ kind: 'refuse' }));
    expect(await isRead(third, written)).toBe(true);
    expect(await third.figures()).toMatchObject({ level: 'redis', hits: 1, sourceReads: 0 });
  });

  test('Redis with wrong values: the reader gets the right one, and the wrong one is gone', async () => {
    const host = await startHost(redis());
    const [one, other] = [await write(host), await write(host)];
    for (let turn = 0; turn < 2; turn++) {
      await isRead(host, one);
      await isRead(host, other);
      await sleep(100);
    }
    const keys = [one, other].map(({ name }) => `soulbox:1:servers/${serverId}/${name}`) as [string, string];
    // The other object in its place: ours, encrypted, and wrong.
    await valkeyCommand(valkey, 'COPY', keys[1], keys[0], 'REPLACE');
    expect(await isRead(host, one)).toBe(true);
    expect(await host.figures()).toMatchObject({ wrong: 1 });
    expect(await valkeyCommand(valkey, 'EXISTS', keys[0])).toBe(':0');
  });

  test('Redis that stops costs its limit once, then reads go to the store', async () => {
    const server = await startValkey();
    onTestFinished(() => server[Symbol.asyncDispose]());
    const host = await startHost({ redis: server.url });
    const written = await write(host);
    await isRead(host, written);
    server.signal('SIGSTOP');
    const times: number[] = [];
    for (let turn = 0; turn < 5; turn++) {
      const from = performance.now();
      expect(await isRead(host, written)).toBe(true);
      times.push(performance.now() - from);
    }
    expect(await host.figures()).toMatchObject({ errors: 1, skipped: 4, state: 'resting' });
    expect(Math.max(...times.slice(1))).toBeLessThan(times[0] ?? 0);
  });

  test('a file of credentials that others may read is refused, and the store is read', async () => {
    await writeFile(join(folder, 'open'), '{"password":"secret"}', { mode: 0o644 });
    const host = await startHost({ redis: valkey.url, redisCredentialsFile: join(folder, 'open') });
    expect(await isRead(host, await write(host))).toBe(true);
    expect(await host.figures()).toMatchObject({ errors: 1, hits: 0 });
  });

  test('HTTP: nginx gets a chunk once from the store, and serves it to other hosts while the store is away', async () => {
    const [one, other] = [await startHost({ http: cdn.url }), await startHost({ http: cdn.url })];
    const written = await write(one, chunkBytes);
    expect(await isRead(one, written)).toBe(true);
    store.use(() => ({ kind: 'refuse' }));
    expect(await isRead(other, written)).toBe(true);
    expect(await other.figures()).toMatchObject({ level: 'http', hits: 1, sourceReads: 0 });
  });

  test.each<[string, Parameters<FaultProxy['use']>[0], object]>([
    ['is away', () => ({ kind: 'refuse' }), { errors: 1 }],
    ['answers 500', () => ({ kind: 'answer', status: 500 }), { errors: 1 }],
    ['answers 404', () => ({ kind: 'answer', status: 404 }), { misses: 1 }],
    ['answers with a page', () => ({ kind: 'answer', status: 200, body: '<html>' }), { hits: 1, wrong: 1 }],
    ['sends other bytes', () => ({ kind: 'corrupt' }), { hits: 1, wrong: 1 }],
    ['sends fewer bytes, and a length to match', () => ({ kind: 'shorten', bytes: 500 }), { hits: 1, wrong: 1 }],
    ['breaks off', () => ({ kind: 'cut', afterBytes: 500 }), { errors: 1 }],
    ['sends a byte now and then', () => ({ kind: 'drip', afterBytes: 500 }), { errors: 1, state: 'resting' }],
    ['does not answer', () => ({ kind: 'hang' }), { errors: 1, state: 'resting' }],
  ])('HTTP that %s: the chunk is read from the store', async (_what, fault, figures) => {
    const host = await startHost({ http: cdn.url });
    const written = await write(host);
    cdn.use(fault);
    const from = performance.now();
    expect(await isRead(host, written)).toBe(true);
    expect(performance.now() - from).toBeLessThan(6000);
    expect(await host.figures()).toMatchObject({ ...figures, sourceReads: 1 });
    // Its fault is over: what was wrong once is not read from it again.
    cdn.use(() => undefined);
    expect(await isRead(host, written)).toBe(true);
  });

  test('HTTP that has kept an object of another content: the reader gets the right one', async () => {
    const host = await startHost({ http: cdn.url });
    const written = await write(host);
    expect(await isRead(host, written)).toBe(true);
    await write(host);
    const replaced = { name: written.name, plain: randomBytes(1000) };
    await host.objects.put(replaced.name, Buffer.from(replaced.plain), { key: randomBytes(32), signal });
    const other = await startHost({ http: cdn.url });
    // nginx has the object from before, which is right under this key; the store has one of another key.
    expect(await isRead(other, written)).toBe(true);
    await expect(other.objects.get(written.name, { key: randomBytes(32), signal })).rejects.toMatchObject({
      reason: 'storage_damaged',
    });
    expect(await other.figures()).toMatchObject({ wrong: 1, sourceReads: 1 });
  });
});

/** One command on a connection of its own. Returns the line of the reply. */
async function valkeyCommand({ port }: TestValkey, ...command: string[]): Promise<string> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  socket.write(`AUTH secret\r\n${command.join(' ')}\r\n`);
  let text = '';
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    text += String(bytes);
    if (text.split('\r\n').length > 2) break;
  }
  return text.split('\r\n')[1] ?? '';
}
