import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SoulBoxError, systemClock } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { CheckpointStore } from '@soulbox/checkpoints';
import { openArrivalFile } from '@soulbox/isolation';
import { openTemplateStore } from '@soulbox/templates';
import { createParcels, sealedObjects } from '@soulbox/vault';
import type { Parcels } from '@soulbox/vault';
import { encodeHead, flatChunkBytes, listFlat, packFlat } from '@soulbox/vault/flat';
import { packTree } from '@soulbox/vault/tar';
import { memoryAccess } from '@soulbox/vault/testing';
import type { MemoryAccess } from '@soulbox/vault/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ArrivalLimits } from './arrival.ts';
import { openStoredCopies } from './open-stored-copies.ts';
import type { StoredCopies } from './stored-copies.ts';

const serverId = 'a'.repeat(20);
const key = randomBytes(32);
const { signal } = new AbortController();
const patience = { pauseMs: 5, totalMs: 60, callMs: 500 };
const limits = { neededAtOnce: 4, wholeAtOnce: 4, behindAtOnce: 1, heldAtOnce: 1, pauseMs: 5, pauseMaxMs: 10 };
const pages = randomBytes(5 * flatChunkBytes + 1000);

let folder: string;
let access: MemoryAccess;
let parcels: Parcels;
let stopping: AbortController;
let admitted: number;
let hasRoom: boolean;
let stored: StoredCopies;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stored-'));
  for (const name of ['data/states', 'data/layers', 'data/runtime', 'data/sandboxes', 'data/templates'])
    await mkdir(join(folder, name), { recursive: true });
  access = memoryAccess();
  parcels = createParcels(sealedObjects(access, serverId), key);
  [admitted, hasRoom] = [0, true];
  stored = await start();
});
afterEach(async () => {
  stopping.abort(new Error('the test is over'));
  await new Promise((done) => setTimeout(done, 20));
  await rm(folder, { recursive: true });
});

const data = (name = ''): string => join(folder, 'data', name);
const admit = (bytes: number): Disposable => {
  if (!hasRoom) throw new SoulBoxError('disk_full', 'There is no room.');
  admitted += bytes;
  return { [Symbol.dispose]: () => void (admitted -= bytes) };
};

/** As a new process on the same data folder. */
async function start(own: Partial<ArrivalLimits> = {}): Promise<StoredCopies> {
  stopping = new AbortController();
  const checkpoints = {
    layerPath: (id: string) => data(`layers/${id}.img`),
    isSealedLayer: async (id: string) => (await readdir(data('layers'))).includes(`${id}.json`),
    open: async (checkpointId: string) => await Promise.resolve({ checkpointId }),
  } as unknown as CheckpointStore;
  return await openStoredCopies({
    ...{ source: { access, serverId, key }, dataDirectory: data(), checkpoints, patience },
    limits: { ...limits, ...own },
    ...{
      templates: openTemplateStore(data('templates')),
      runtimes: data('runtime'),
      logger: silentLogger,
      clock: systemClock,
    },
    disks: { admit, figures: () => ({ freeBytes: 1, reserveBytes: 0, committedBytes: 0 }) as never },
    signal: stopping.signal,
  });
}

async function makeTree(files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const from = await mkdtemp(join(folder, 'tree-'));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(from, path, '..'), { recursive: true });
    await writeFile(join(from, path), content);
  }
  return from;
}

async function putCheckpoint(id: string): Promise<void> {
  const files = { 'manifest.json': 'the manifest', 'core.img': 'small', 'empty.img': '', 'pages-1.img': pages };
  const from = await makeTree(
    Object.fromEntries(Object.entries(files).map(([name, of]) => [`states/${id}/${name}`, of])),
  );
  const head = await listFlat(from, [`states/${id}`]);
  const about = { into: '.', compresses: false, headBytes: encodeHead(head).length };
  await parcels.put(`states/${id}`, packFlat(from, head, signal), { signal, about, chunkBytes: flatChunkBytes });
}

async function putTree(name: string, root: string, files: Readonly<Record<string, string>>): Promise<void> {
  const from = await makeTree(files);
  const content = packTree({ directory: from, names: [root] }, { signal, compresses: true });
  await parcels.put(name, content, { signal, about: { into: '.', compresses: true } });
}

const chunksOf = (name: string): string[] =>
  [...access.objects.keys()].filter((one) => one.includes(`/data/${name}/`)).sort();
const away = (): never => {
  throw new SoulBoxError('storage_unavailable', 'The store is away.');
};

test('a checkpoint is fetched once for all that ask, and is as it was', async () => {
  await putCheckpoint('c');
  const gets: string[] = [];
  access.fault = (method, name) => {
    if (method === 'get') gets.push(name);
  };
  await Promise.all([stored.checkpoint('c'), stored.checkpoint('c'), stored.checkpoint('c')]);
  expect(gets).toHaveLength(new Set(gets).size);
  expect((await readdir(data('states/c'))).sort()).toEqual(['core.img', 'empty.img', 'manifest.json', 'pages-1.img']);
  expect((await readFile(data('states/c/pages-1.img'))).equals(pages)).toBe(true);
  expect(await readFile(data('states/c/manifest.json'), 'utf8')).toBe('the manifest');
  expect(await readdir(data('states'))).toEqual(['c']);
  await expect.poll(() => admitted).toBe(0);
  gets.length = 0;
  await stored.checkpoint('c');
  expect(gets).toEqual([]);
});

test('what the store does not have is not made', async () => {
  await stored.checkpoint('none');
  await stored.layer('none');
  expect(await stored.late('none')).toBeUndefined();
  for (const name of ['states', 'layers']) expect(await readdir(data(name))).toEqual([]);
});

test('a late checkpoint begins without its memory, and what is asked for comes first', async () => {
  await putCheckpoint('c');
  const gets: string[] = [];
  let isBlocked = true;
  access.fault = (method, name) => {
    if (method !== 'get') return;
    gets.push(name.slice(-6));
    if (isBlocked && /00000[1-9]$/.test(name)) away();
  };
  const late = await stored.late('c');
  if (late === undefined) throw new Error('it is not late');
  expect(stored.isArriving('c')).toBe(true);
  expect(await readFile(data('states/c/core.img'), 'utf8')).toBe('small');
  expect((await readFile(data('states/c/pages-1.img'))).equals(Buffer.alloc(pages.length))).toBe(true);
  const { path, count, first } = late.blocks;
  const file = openArrivalFile(path, count);
  const block = (first['pages-1.img'] ?? 0) + 4;
  expect(file?.arrivalOf(block)).toBe('missing');
  file?.want(block);
  // It is asked for again as long as the store is away.
  await expect.poll(() => gets.filter((name) => Number(name) === block).length).toBeGreaterThan(2);
  isBlocked = false;
  await late.whole;
  file?.refresh();
  expect(file?.arrivalOf(block)).toBe('there');
  file?.close();
  await expect.poll(() => stored.isArriving('c')).toBe(false);
  expect((await readFile(data('states/c/pages-1.img'))).equals(pages)).toBe(true);
});

test('during a restore only what is asked for is fetched, unless somebody waits for all of it', async () => {
  stopping.abort(new Error('another process'));
  stored = await start({ heldAtOnce: 0 });
  await putCheckpoint('c');
  await putCheckpoint('d');
  const gets: string[] = [];
  access.fault = (method, name) => {
    if (method === 'get' && /states\/c.*00000[1-9]$/.test(name)) gets.push(name.slice(-6));
  };
  const late = await stored.late('c');
  if (late === undefined) throw new Error('it is not late');
  const file = openArrivalFile(late.blocks.path, late.blocks.count);
  file?.want(5);
  await expect
    .poll(() => {
      file?.refresh();
      return file?.arrivalOf(5);
    })
    .toBe('there');
  await new Promise((done) => setTimeout(done, 120));
  // Some were on their way before it was known that a restore begins.
  expect(gets).toContain('000005');
  expect(gets.length).toBeLessThanOrEqual(3);
  late[Symbol.dispose]();
  await late.whole;
  expect(new Set(gets).size).toBe(6);
  file?.close();
  await stored.late('d');
  await stored.checkpoint('d');
  expect((await readFile(data('states/d/pages-1.img'))).equals(pages)).toBe(true);
});

test('blocks that an earlier start asked for are fetched first, in their order, and those of this one are known', async () => {
  stopping.abort(new Error('another process'));
  stored = await start({ heldAtOnce: 0, behindAtOnce: 1, neededAtOnce: 1 });
  await putCheckpoint('c');
  const gets: string[] = [];
  access.fault = (method, name) => {
    if (method === 'get' && /states\/c.*00000[1-9]$/.test(name)) gets.push(name.slice(-1));
  };
  const strange = ['pages-1.img:99', 'pages-9.img:0', 'toString:0', 'x', 'pages-1.img:-3'];
  const late = await stored.late('c', ['pages-1.img:4', ...strange, 'pages-1.img:2', 'pages-1.img:3']);
  if (late === undefined) throw new Error('it is not late');
  expect(late.asked()).toEqual([]);
  await expect.poll(() => gets.length).toBeGreaterThanOrEqual(4);
  // The first was on its way before.
  expect(gets.slice(1)).toEqual(['5', '3', '4']);
  const file = openArrivalFile(late.blocks.path, late.blocks.count);
  file?.want(6);
  await expect.poll(() => late.asked()).toEqual(['pages-1.img:5']);
  file?.want(2);
  await expect.poll(() => late.asked()).toEqual(['pages-1.img:5', 'pages-1.img:1']);
  file?.close();
  late[Symbol.dispose]();
  await late.whole;
  expect((await readFile(data('states/c/pages-1.img'))).equals(pages)).toBe(true);
});

test('a new process goes on with what the one before has begun', async () => {
  await putCheckpoint('c');
  let isBlocked = true;
  access.fault = (_method, name) => {
    if (isBlocked && /00000[3-9]$/.test(name)) away();
  };
  (await stored.late('c'))?.keep();
  await new Promise((done) => setTimeout(done, 60));
  stopping.abort(new Error('killed'));
  await new Promise((done) => setTimeout(done, 20));
  expect(await readdir(data('states'))).toEqual(['c', 'c.arriving']);
  const gets: string[] = [];
  isBlocked = false;
  access.fault = (_method, name) => void gets.push(name.slice(-6));
  stored = await start();
  await stored.checkpoint('c');
  expect((await readFile(data('states/c/pages-1.img'))).equals(pages)).toBe(true);
  expect(await readdir(data('states'))).toEqual(['c']);
  expect(gets).not.toContain('000001');
});

test('what a crash of the host has left is not trusted', async () => {
  await putCheckpoint('c');
  access.fault = (_method, name) => {
    if (/00000[3-9]$/.test(name)) away();
  };
  await stored.late('c');
  stopping.abort(new Error('the host is off'));
  await new Promise((done) => setTimeout(done, 20));
  const bytes = await readFile(data('states/c.arriving'));
  await writeFile(data('states/c.arriving'), Buffer.concat([Buffer.alloc(36, 'another boot'), bytes.subarray(36)]));
  stored = await start();
  expect(await readdir(data('states'))).toEqual([]);
  access.fault = () => undefined;
  await stored.checkpoint('c');
  expect((await readFile(data('states/c/pages-1.img'))).equals(pages)).toBe(true);
});

test.each([
  ['missing', (chunk: string) => void access.objects.delete(chunk)],
  ['changed', (chunk: string) => void (access.objects.get(chunk) ?? Buffer.alloc(99)).fill(7, 50, 60)],
  [
    'cut',
    (chunk: string) => void access.objects.set(chunk, access.objects.get(chunk)?.subarray(0, 500) ?? Buffer.alloc(0)),
  ],
  [
    'another one',
    (chunk: string) => void access.objects.set(chunk, access.objects.get(chunk.replace(/.$/, '2')) ?? Buffer.alloc(0)),
  ],
])('a chunk that is %s is damage, and whoever waits for it is told', async (_what, spoil) => {
  await putCheckpoint('c');
  spoil(chunksOf('states/c')[3] ?? '');
  const late = await stored.late('c');
  if (late === undefined) throw new Error('it is not late');
  await expect(late.whole).rejects.toMatchObject({ reason: 'storage_damaged' });
  const file = openArrivalFile(late.blocks.path, late.blocks.count);
  expect(file?.arrivalOf(3)).toBe('damaged');
  file?.close();
});

test('while the store is away nothing waits for long, and it can be tried again', async () => {
  await putCheckpoint('c');
  await putTree('layers/l', 'layers', { 'layers/l.img': 'disk', 'layers/l.json': '{}' });
  access.fault = away;
  await expect(stored.checkpoint('c')).rejects.toMatchObject({ reason: 'storage_unavailable' });
  await expect(stored.layer('l')).rejects.toMatchObject({ reason: 'storage_unavailable' });
  expect(stored.figures()).toMatchObject({ fetchFailures: 1 });
  access.fault = () => undefined;
  await Promise.all([stored.checkpoint('c'), stored.layer('l')]);
  expect(await readFile(data('layers/l.img'), 'utf8')).toBe('disk');
});

test('without room nothing is fetched and nothing is left', async () => {
  await putCheckpoint('c');
  await putTree('layers/l', 'layers', { 'layers/l.img': 'disk', 'layers/l.json': '{}' });
  hasRoom = false;
  await expect(stored.checkpoint('c')).rejects.toMatchObject({ reason: 'disk_full' });
  await expect(stored.layer('l')).rejects.toMatchObject({ reason: 'disk_full' });
  for (const name of ['states', 'layers']) expect(await readdir(data(name))).toEqual([]);
});

test('a checkpoint that is not needed any more is not fetched further', async () => {
  await putCheckpoint('c');
  access.fault = (_method, name) => {
    if (/00000[3-9]$/.test(name)) away();
  };
  const late = await stored.late('c');
  stored.forget('c');
  await expect(late?.whole).rejects.toThrow('not needed');
  await expect.poll(async () => await readdir(data('states'))).toEqual([]);
  expect(admitted).toBe(0);
});

test('layers, disks, templates and versions of envd are put at their places, and kept if they are there', async () => {
  await putTree('layers/l', 'layers', { 'layers/l.img': 'disk', 'layers/l.json': '{}' });
  await putTree('disks/s.c', 'sandboxes/s', { 'sandboxes/s/soulbox-1-s.img': 'own disk', 'sandboxes/s/note': 'more' });
  await putTree('runtimes/r', 'r', { 'r/envd': 'program' });
  await stored.layer('l');
  const directory = data('sandboxes/s');
  const disk = { sandboxId: 's', stateId: 'c', directory, path: join(directory, 'soulbox-1-s.img') };
  // What a killed process has left.
  await mkdir(join(directory, 'fetched-abcd1234.tmp'), { recursive: true });
  expect(await stored.disk(disk)).toBe(true);
  await stored.runtime('r');
  expect((await readdir(directory)).sort()).toEqual(['note', 'soulbox-1-s.img']);
  expect(await readFile(data('runtime/r/envd'), 'utf8')).toBe('program');
  for (const name of ['layers', 'runtime']) expect((await readdir(data(name))).join()).not.toContain('fetched');
  await writeFile(disk.path, 'changed since');
  expect(await stored.disk(disk)).toBe(false);
  expect(await readFile(disk.path, 'utf8')).toBe('changed since');
});

test('an archive with a changed chunk leaves nothing', async () => {
  await putTree('layers/l', 'layers', { 'layers/l.img': randomBytes(50_000).toString('hex'), 'layers/l.json': '{}' });
  (access.objects.get(chunksOf('layers/l')[0] ?? '') ?? Buffer.alloc(0)).fill(1, 100, 200);
  await expect(stored.layer('l')).rejects.toMatchObject({ reason: 'storage_damaged' });
  expect(await readdir(data('layers'))).toEqual([]);
});

test('a checkpoint that an earlier version has uploaded as an archive is fetched', async () => {
  await putTree('states/old', 'states', { 'states/old/manifest.json': 'old', 'states/old/pages-1.img': 'pages' });
  expect(await stored.late('old')).toBeUndefined();
  expect(await readFile(data('states/old/pages-1.img'), 'utf8')).toBe('pages');
  expect(await readdir(data('states'))).toEqual(['old']);
});
