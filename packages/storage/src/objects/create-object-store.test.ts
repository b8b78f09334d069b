import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createObjectStore } from './create-object-store.ts';
import { openDiskObjects } from './disk/open-disk-objects.ts';
import type { ObjectStore } from './object-store.ts';
import type { StoreDriver } from './store-driver.ts';
import { StoreFault } from './store-fault.ts';
import type { StoreLimits } from './store-options.ts';

const retries = { attempts: 3, initialDelayMs: 1, maxDelayMs: 5, budgetMs: 20_000, retryAfterMaxMs: 1000 };
const partBytes = 1000;

let folder: string;
let driver: StoreDriver;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-objects-'));
  driver = await openDiskObjects(folder);
});
afterEach(async () => await removeTree(folder));

const storeOf = (changes: Partial<StoreDriver>, limits: Partial<StoreLimits> = {}): ObjectStore =>
  createObjectStore(
    { ...driver, ...changes },
    { url: 'file:///x', prefix: '', limits: { retries, partBytes, ...limits } },
  );

async function* chunks(count: number, onRead: () => void = () => undefined): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) {
    await Promise.resolve();
    onRead();
    yield Buffer.alloc(500, index);
  }
}

test('an upload holds no more parts than are being sent, and one', async () => {
  let [read, sent, sending, most, ahead] = [0, 0, 0, 0, 0];
  const store = storeOf({
    parts: { ...driver.parts, concurrency: 3 },
    async putPart(upload, part, signal) {
      sending += 1;
      most = Math.max(most, sending);
      await setTimeout(2);
      const tag = await driver.putPart(upload, part, signal);
      sending -= 1;
      sent += part.bytes.length;
      return tag;
    },
  });
  const written = await store.put(
    'a',
    chunks(101, () => {
      read += 500;
      ahead = Math.max(ahead, read - sent);
    }),
  );
  expect(written.sizeBytes).toBe(50_500);
  expect(most).toBe(3);
  // Two parts are read before the upload begins.
  expect(ahead).toBeLessThanOrEqual(6 * partBytes);
});

test('an upload loses only so many attempts over all its parts', async () => {
  let calls = 0;
  const flaky: StoreDriver['putPart'] = async (upload, part, signal) => {
    calls += 1;
    if (calls % 2 === 1) throw new StoreFault('storage_unavailable', 'away');
    return await driver.putPart(upload, part, signal);
  };
  await storeOf({ putPart: flaky }).put('a', chunks(20));
  calls = 0;
  const strict = storeOf({ putPart: flaky }, { uploadFaults: 4 });
  await expect(strict.put('b', chunks(20))).rejects.toMatchObject({ reason: 'storage_unavailable' });
  expect(calls).toBeLessThanOrEqual(8);
  // The draft is gone.
  expect((await readdir(folder)).filter((name) => name.startsWith('.draft'))).toEqual([]);
});

test('an object of unknown size ends where the store takes no more parts', async () => {
  const store = storeOf({ parts: { ...driver.parts, maxCount: 5 } });
  await expect(store.put('a', chunks(12))).rejects.toMatchObject({ reason: 'limit_exceeded' });
  // With its size, the parts are larger.
  await store.put('a', chunks(12), { sizeBytes: 6000 });
  expect(await store.stat('b')).toBeUndefined();
});

test('the first error of an upload ends the others and the wait for the source', async () => {
  const store = storeOf({ putPart: () => Promise.reject(new StoreFault('storage_access_denied', 'no')) });
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    yield* chunks(6);
    await new Promise(() => undefined);
  };
  await expect(store.put('a', endless())).rejects.toMatchObject({ reason: 'storage_access_denied' });
});

test('a defect is not repeated and stays what it is', async () => {
  let calls = 0;
  const store = storeOf({
    stat: () => {
      calls += 1;
      return Promise.reject(new TypeError('a defect'));
    },
  });
  await expect(store.stat('a')).rejects.toThrow(TypeError);
  expect(calls).toBe(1);
});

test('a call that ignores its signal does not hold up the caller', async () => {
  const store = storeOf({ stat: () => new Promise(() => undefined) }, { attemptMs: 20 });
  await expect(store.stat('a')).rejects.toMatchObject({ reason: 'storage_unavailable' });
  const signal = AbortSignal.timeout(20);
  const patient = storeOf({ stat: () => new Promise(() => undefined) });
  await expect(patient.stat('a', { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
});

test('many small chunks become few parts', async () => {
  const sizes: number[] = [];
  const store = storeOf({
    putPart: (upload, part, signal) => {
      sizes.push(part.bytes.length);
      return driver.putPart(upload, part, signal);
    },
  });
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < 2500; index++) {
      await Promise.resolve();
      yield Buffer.of(index);
    }
  };
  await store.put('a', bytes());
  expect(sizes).toEqual([1000, 1000, 500]);
});

test('a list has only what was asked for, whatever the store says', async () => {
  const objectOf = (key: string) => ({ key, sizeBytes: 1, version: 'v', modifiedAt: new Date(0), writeId: undefined });
  const keys = ['team/', 'team/a', 'team/a/b', '/etc/passwd', 'other/a', 'teamster/a', 'team', ''];
  const folders = ['team/f/', 'team/g', 'team/', '/', 'other/', 'team/f/deeper/', ''];
  const store = createObjectStore(
    { ...driver, list: () => Promise.resolve({ objects: keys.map(objectOf), folders }) },
    { url: 'file:///x', prefix: 'team/' },
  );
  const found = async (query: Parameters<ObjectStore['list']>[0]): Promise<string[]> => {
    const page = await store.list(query);
    return [...page.objects.map(({ key }) => key), ...page.folders];
  };
  expect(await found({ combinesFolders: true })).toEqual(['', 'a', 'f/']);
  expect(await found({ prefix: 'a/', combinesFolders: false })).toEqual(['a/b']);
});
