import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { objectMaxBytes, socketAccess } from '@soulbox/vault';
import type { ObjectAccess } from '@soulbox/vault';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serveObjects } from './serve-objects.ts';

let folder: string;
let store: ObjectStore;
let served: AsyncDisposable;
let access: ObjectAccess;
const { signal } = new AbortController();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serve-objects-'));
  store = await openObjectStore(`file://${folder}/store`);
  served = await serveObjects({ store, place: { path: join(folder, 's') }, logger: silentLogger });
  access = socketAccess(join(folder, 's'));
});
afterEach(async () => {
  await served[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await removeTree(folder);
});

test('an object is written, read, listed and deleted, up to the largest size', async () => {
  const bytes = randomBytes(objectMaxBytes);
  await access.put('a/b c', bytes, signal);
  expect((await access.get('a/b c', signal))?.bytes.equals(bytes)).toBe(true);
  expect((await access.list('a/', undefined, signal)).objects).toMatchObject([{ key: 'a/b c' }]);
  await access.delete('a/b c', signal);
  expect(await access.get('a/b c', signal)).toBeUndefined();
});

test('conditions are those of the store', async () => {
  const failed = { reason: 'storage_precondition_failed' };
  await access.put('a', Buffer.from('1'), signal, 'absent');
  await expect(access.put('a', Buffer.from('2'), signal, 'absent')).rejects.toMatchObject(failed);
  const version = (await access.get('a', signal))?.version ?? '';
  await access.put('a', Buffer.from('3'), signal, { version });
  await expect(access.put('a', Buffer.from('4'), signal, { version })).rejects.toMatchObject(failed);
  expect((await access.get('a', signal))?.bytes.toString()).toBe('3');
});

test('objects that are too large, bad keys and unknown calls are refused', async () => {
  await expect(access.put('a', Buffer.alloc(objectMaxBytes + 1), signal)).rejects.toMatchObject({
    reason: 'bad_request',
  });
  await store.put('large', Buffer.alloc(objectMaxBytes + 1));
  await expect(access.get('large', signal)).rejects.toMatchObject({ reason: 'storage_damaged' });
  await expect(access.put('../a', Buffer.alloc(1), signal)).rejects.toMatchObject({ reason: 'bad_request' });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request({ socketPath: join(folder, 's'), path: '/other', method: 'POST' }, resolve)
    .on('error', reject)
    .end();
  expect((await promise).resume().statusCode).toBe(404);
});

test('a body that breaks off writes nothing', async () => {
  const sent = request({
    ...{ socketPath: join(folder, 's'), path: '/object?key=half', method: 'PUT' },
    headers: { 'content-length': '1000' },
  });
  sent.on('error', () => undefined);
  sent.write(Buffer.alloc(500), () => sent.destroy());
  await new Promise((done) => sent.once('close', done));
  await access.put('other', Buffer.alloc(1), signal);
  expect((await access.list('', undefined, signal)).objects.map(({ key }) => key)).toEqual(['other']);
});

test('a process that is away is an unavailable store', async () => {
  await served[Symbol.asyncDispose]();
  const timed = AbortSignal.timeout(500);
  await expect(access.get('a', timed)).rejects.toThrow();
  served = await serveObjects({ store, place: { path: join(folder, 's') }, logger: silentLogger });
  expect(await access.get('a', signal)).toBeUndefined();
});
