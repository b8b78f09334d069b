/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { beforeEach, describe, expect, test } from 'vitest';
import { usualChunkBytes as chunkBytes } from './parcel-index.ts';
import { createParcels } from './parcels.ts';
import type { Parcels } from './parcels.ts';
import { sealedObjects } from './sealed-objects.ts';
import { keyOfRole } from './storage-key.ts';
import { memoryAccess } from './testing/memory-access.ts';
import type { MemoryAccess } from './testing/memory-access.ts';

const serverId = 'a'.repeat(20);
const { signal } = new AbortController();
const storageKey = randomBytes(32);
const key = keyOfRole(storageKey, 'runner');
let access: MemoryAccess;
let parcels: Parcels;
beforeEach(() => {
  access = memoryAccess();
  parcels = createParcels(sealedObjects(access, serverId), key, { pauseMs: 1, totalMs: 0 });
});

async function* pieces(content: Buffer, size = 1_000_003): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield await Promise.resolve(content.subarray(at, at + size));
}

async function read(name: string, from = parcels): Promise<Buffer> {
  const parcel = await from.open(name, signal);
  if (parcel === undefined) throw new Error('no parcel');
  const chunks: Buffer[] = [];
  for await (const chunk of parcel.content()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const chunkKeys = (name: string): string[] =>
  [...access.objects.keys()].filter((stored) => stored.includes(`/data/${name}/`)).sort();

test.each([0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes, 3 * chunkBytes + 17])(
  'content of %s bytes is read as it was written, with what was said about it, and is not readable in the store',
  async (size) => {
    const content = randomBytes(size);
    expect(await parcels.put('states/x', pieces(content), { signal, about: { a: 1 } })).toBe(size);
    expect((await read('states/x')).equals(content)).toBe(true);
    expect(await parcels.open('states/x', signal)).toMatchObject({ sizeBytes: size, about: { a: 1 } });
    if (size > 16)
      for (const stored of access.objects.values()) expect(stored.includes(content.subarray(0, 16))).toBe(false);
  },
);

test('a parcel without its index does not exist, and its chunks are orphans', async () => {
  access.fault = (method, stored) => {
    if (method === 'put' && stored.includes('/index/')) throw new SoulBoxError('storage_access_denied', 'no');
  };
  const put = parcels.put('states/x', pieces(randomBytes(100)), { signal });
  await expect(put).rejects.toMatchObject({ reason: 'storage_access_denied' });
  expect(await parcels.has('states/x', signal)).toBe(false);
  access.fault = () => undefined;
  await parcels.put('states/y', pieces(randomBytes(100)), { signal });
  expect(await parcels.removeOrphans(0, signal)).toBe(0);
  expect(await parcels.removeOrphans(1, signal)).toBe(1);
  expect(chunkKeys('states/x')).toEqual([]);
  expect(await read('states/y')).toHaveLength(100);
});

test.each(['source', 'chunk', 'check'])('an upload whose %s fails leaves no parcel', async (what) => {
  const failure = new SoulBoxError('storage_unavailable', 'away');
  async function* broken(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(randomBytes(chunkBytes + 1));
    if (what === 'source') throw failure;
  }
  access.fault = (method, stored) => {
    if (what === 'chunk' && method === 'put' && stored.endsWith('000001')) throw failure;
  };
  const check = async (): Promise<void> => (what === 'check' ? await Promise.reject(failure) : undefined);
  await expect(parcels.put('states/x', broken(), { signal, check })).rejects.toBe(failure);
  expect([...access.objects.keys()].filter((stored) => stored.includes('/index/'))).toEqual([]);
});

test('a chunk is offered again while the store is away, and the parcel is whole', async () => {
  const patient = createParcels(sealedObjects(access, serverId), key, { pauseMs: 1, totalMs: 10_000 });
  const content = randomBytes(2 * chunkBytes + 5);
  let failures = 0;
  access.fault = (method, stored) => {
    if (method === 'put' && stored.endsWith('000001') && failures++ < 5)
      throw new SoulBoxError('storage_unavailable', 'away');
  };
  await patient.put('states/x', pieces(content), { signal });
  expect([failures, (await read('states/x')).equals(content)]).toEqual([6, true]);
});

test('an aborted upload does not wait for a store that is away', async () => {
  const patient = createParcels(sealedObjects(access, serverId), key, { pauseMs: 60_000, totalMs: 600_000 });
  access.fault = (method) => {
    if (method === 'put') throw new SoulBoxError('storage_unavailable', 'away');
  };
  const ended = new AbortController();
  const put = patient.put('states/x', pieces(randomBytes(10)), { signal: ended.signal });
  setTimeout(() => ended.abort(new Error('the sandbox runs again')), 20);
  await expect(put).rejects.toThrow('the sandbox runs again');
});

test('a second upload of a parcel changes nothing, and one whose answer was lost has succeeded', async () => {
  const content = randomBytes(100);
  await parcels.put('states/x', pieces(content), { signal });
  await parcels.put('states/x', pieces(randomBytes(50)), { signal });
  expect((await read('states/x')).equals(content)).toBe(true);
  expect(await parcels.removeOrphans(1, signal)).toBe(1);
  expect((await read('states/x')).equals(content)).toBe(true);
});

test('a removed parcel leaves nothing, and others stay', async () => {
  await parcels.put('states/x', pieces(randomBytes(100)), { signal });
  await parcels.put('states/x2', pieces(randomBytes(100)), { signal });
  await parcels.remove('states/x', signal);
  const names: string[] = [];
  for await (const name of parcels.list(undefined, signal)) names.push(name);
  expect([names, access.objects.size]).toEqual([['states/x2'], 2]);
});

describe('a store that lies', () => {
  const content = randomBytes(2 * chunkBytes + 5);
  const damaged = { reason: 'storage_damaged' };
  beforeEach(async () => {
    await parcels.put('states/x', pieces(content), { signal });
    await parcels.put('states/y', pieces(content), { signal });
  });
  const change = (stored: string, by: (bytes: Buffer) => Buffer | undefined): void => {
    const changed = by(access.objects.get(stored) ?? Buffer.alloc(0));
    if (changed === undefined) access.objects.delete(stored);
    else access.objects.set(stored, changed);
  };
  const flip = (bytes: Buffer): Buffer => {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    return bytes;
  };

  test.each([
    ['a changed byte', flip],
    ['a byte less', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['a byte more', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)])],
    ['nothing', () => Buffer.alloc(0)],
    ['no object', () => undefined],
    ['the next chunk', () => access.objects.get(chunkKeys('states/x')[1] ?? '')],
    ['the same chunk of another parcel', () => access.objects.get(chunkKeys('states/y')[0] ?? '')],
  ])('in place of a chunk, %s is refused', async (_what, by) => {
    change(chunkKeys('states/x')[0] ?? '', by);
    await expect(read('states/x')).rejects.toMatchObject(damaged);
    expect((await read('states/y')).equals(content)).toBe(true);
  });

  test.each([
    ['a changed byte', flip],
    ['the index of another parcel', () => access.objects.get(`servers/${serverId}/index/states/y`)],
    ['nothing', () => Buffer.alloc(0)],
  ])('in place of an index, %s is refused', async (_what, by) => {
    change(`servers/${serverId}/index/states/x`, by);
    await expect(parcels.open('states/x', signal)).rejects.toMatchObject(damaged);
    // Its chunks are kept: they may be wanted by somebody who repairs the index.
    expect(await parcels.removeOrphans(1, signal)).toBe(0);
  });

  test('objects of another server, and another key, are refused', async () => {
    const other = 'b'.repeat(20);
    for (const [stored, bytes] of [...access.objects]) access.objects.set(stored.replace(serverId, other), bytes);
    await expect(createParcels(sealedObjects(access, other), key).open('states/x', signal)).rejects.toMatchObject(
      damaged,
    );
    const wrong = createParcels(sealedObjects(access, serverId), keyOfRole(storageKey, 'control'));
    await expect(wrong.open('states/x', signal)).rejects.toMatchObject(damaged);
  });

  test('a list with foreign keys, or without end, is refused', async () => {
    const list = async (): Promise<void> => {
      for await (const _ of parcels.list('states', signal));
    };
    access.list = async () => await Promise.resolve({ objects: [{ key: 'servers/other', modifiedAtMs: 0 }] });
    await expect(list()).rejects.toMatchObject(damaged);
    access.list = async () => await Promise.resolve({ objects: [], cursor: 'same' });
    await expect(list()).rejects.toMatchObject(damaged);
  });
});

test.each(['states', 'states/', 'states/../x', 'STATES/x', 'states/x/y', `states/${'x'.repeat(161)}`])(
  'the name %j is refused',
  async (name) => {
    await expect(parcels.put(name, pieces(Buffer.alloc(1)), { signal })).rejects.toMatchObject({
      reason: 'bad_request',
    });
  },
);
