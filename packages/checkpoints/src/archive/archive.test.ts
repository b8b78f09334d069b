import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BlobStore } from '@soulbox/storage';
import { openDiskBlobs } from '@soulbox/storage';
import { openCheckpointStore } from '../open-checkpoint-store.ts';
import type { Checkpoint, CheckpointStore } from '../checkpoint-store.ts';
import { hashesOf, mib, patternOf, readParts, testFacts, testOptions } from '../testing/test-store.ts';

const parts: Readonly<Record<string, Buffer>> = {
  'core-1.img': Buffer.from('small'),
  'pages-1.img': patternOf(5.5 * mib),
  'pages-2.img': randomBytes(2 * mib),
};
const key = 'states/s1/pages-1.img.zst';

let folder: string;
let blobs: BlobStore;
let store: CheckpointStore;

const open = async (): Promise<CheckpointStore> =>
  await openCheckpointStore({ ...testOptions(join(folder, 'store')), blobs });
const reopen = async (): Promise<void> => {
  await store[Symbol.asyncDispose]();
  store = await open();
};
const inCheckpoint = (name: string): string => join(folder, 'store', 'states', 's1', name);
const blobKeys = async (): Promise<string[]> => (await blobs.list('')).map((blob) => blob.key);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-archive-'));
  blobs = await openDiskBlobs({ directory: join(folder, 'blobs') });
  store = await open();
  await using draft = await store.begin('s1');
  for (const [name, content] of Object.entries(parts)) await writeFile(join(draft.directory, name), content);
  await draft.seal(testFacts());
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function compress(): Promise<Checkpoint> {
  const packed = await store.compress('s1');
  if (packed === undefined) throw new Error('the checkpoint was wanted meanwhile');
  return packed;
}

async function expectRaw(): Promise<void> {
  expect(await readParts(await store.open('s1'))).toEqual(hashesOf(parts));
  expect(await blobKeys()).toEqual([]);
}

test('parts that shrink become blobs, others stay raw, and unpacking restores all of them', async () => {
  const packed = await compress();
  expect(await blobKeys()).toEqual([key]);
  expect((await readdir(packed.directory)).sort()).toEqual(['core-1.img', 'manifest.json', 'pages-2.img']);
  expect(packed.isPacked).toBe(true);
  expect(packed.sizeBytes).toBeLessThan(3 * mib);
  await reopen();
  expect((await compress()).manifest.packed).toEqual(packed.manifest.packed);
  expect((await store.unpack('s1')).isPacked).toBe(false);
  expect((await stat(inCheckpoint('pages-1.img'))).mode & 0o777).toBe(0o600);
  await expectRaw();
  await store.unpack('s1');
});

test('a packed checkpoint cannot be verified by mistake, and its blobs are removed with it', async () => {
  const packed = await compress();
  await expect(packed.verify()).rejects.toThrow('unpack it first');
  await packed.verify((name) => name.startsWith('core'));
  await store.remove('s1');
  expect(await blobKeys()).toEqual([]);
});

test('an unpack during a compression gets the unchanged checkpoint, and concurrent calls share the work', async () => {
  const packing = store.compress('s1');
  expect(await store.compress('s1')).toBeUndefined();
  const [one, other] = await Promise.all([store.unpack('s1'), store.unpack('s1')]);
  expect(await packing).toBeUndefined();
  expect([one.isPacked, other.isPacked]).toEqual([false, false]);
  await expectRaw();
  await compress();
  const unpacked = await Promise.all([store.unpack('s1'), store.unpack('s1'), store.unpack('s1')]);
  expect(unpacked.map(({ isPacked }) => isPacked)).toEqual([false, false, false]);
  await expectRaw();
});

test('a checkpoint that is removed while it is compressed is removed with its blobs', async () => {
  const packing = store.compress('s1');
  await store.remove('s1');
  expect(await packing).toBeUndefined();
  expect(await store.find('s1')).toBeUndefined();
  expect(await blobKeys()).toEqual([]);
});

test('a server that stops leaves the checkpoint unchanged', async () => {
  const stopping = new AbortController();
  const packing = store.compress('s1', stopping.signal);
  stopping.abort();
  expect(await packing).toBeUndefined();
  await expectRaw();
});

test('room for the unpacked parts is reserved first, once for all callers, and is always released', async () => {
  const [asked, held]: [number[], number[]] = [[], []];
  const admit = (bytes: number): Disposable => {
    asked.push(bytes);
    held.push(bytes);
    return { [Symbol.dispose]: () => void held.pop() };
  };
  await compress();
  await Promise.all([store.unpack('s1', admit), store.unpack('s1', admit)]);
  await store.unpack('s1', admit);
  expect([asked, held]).toEqual([[5.5 * mib], []]);
  await compress();
  await blobs.put(key, Readable.from([randomBytes(1000)]));
  await expect(store.unpack('s1', admit)).rejects.toMatchObject({ reason: 'state_damaged' });
  expect(held).toEqual([]);
});

test('without room nothing is unpacked, and a failed unpack leaves nothing', async () => {
  await compress();
  const admit = (): never => {
    throw new Error('no room');
  };
  await expect(store.unpack('s1', admit)).rejects.toThrow('no room');
  expect((await store.open('s1')).isPacked).toBe(true);
  await blobs.put(
    key,
    Readable.from([zstdCompressSync((parts['pages-1.img'] ?? Buffer.alloc(0)).subarray(0, 5 * mib))]),
  );
  await expect(store.unpack('s1')).rejects.toMatchObject({ reason: 'state_damaged' });
  expect((await readdir(join(folder, 'store', 'states', 's1'))).sort()).toEqual([
    'core-1.img',
    'manifest.json',
    'pages-2.img',
  ]);
});

test('without an archive nothing can be compressed', async () => {
  await using plain = await openCheckpointStore(testOptions(join(folder, 'other')));
  await (await plain.begin('s1')).seal(testFacts());
  await expect(plain.compress('s1')).rejects.toMatchObject({ reason: 'capability_missing' });
});

test('a damaged part is not packed', async () => {
  await writeFile(inCheckpoint('pages-1.img'), Buffer.alloc(5.5 * mib));
  await expect(store.compress('s1')).rejects.toMatchObject({ reason: 'state_damaged' });
  expect(await blobKeys()).toEqual([]);
  expect((await stat(inCheckpoint('pages-1.img'))).size).toBe(5.5 * mib);
});

describe('a damaged blob is refused, and the packed checkpoint is left unchanged', () => {
  const replaceBy = async (content: Buffer): Promise<void> => {
    await blobs.put(key, Readable.from([content]));
  };
  const blobPath = (): string => join(folder, 'blobs', key.replaceAll('/', '~'));
  const original = parts['pages-1.img'] ?? Buffer.alloc(0);
  const damages: Readonly<Record<string, () => Promise<void>>> = {
    'it is missing': () => blobs.delete(key),
    'it is empty': () => replaceBy(Buffer.alloc(0)),
    'a byte of it is altered': async () => {
      const blob = await readFile(blobPath());
      blob[1000] = (blob[1000] ?? 0) ^ 1;
      await replaceBy(blob);
    },
    'it is cut short': async () => truncate(blobPath(), Math.floor((await stat(blobPath())).size / 2)),
    'it is not zstd': () => replaceBy(randomBytes(1000)),
    'it holds something else': () => replaceBy(zstdCompressSync(patternOf(5.5 * mib, 9))),
    'it holds less': () => replaceBy(zstdCompressSync(original.subarray(0, 5 * mib))),
    'it holds more': () => replaceBy(zstdCompressSync(Buffer.concat([original, Buffer.from('x')]))),
    'it unpacks to far more': () => replaceBy(zstdCompressSync(Buffer.concat([original, Buffer.alloc(200 * mib)]))),
  };

  test.for(Object.keys(damages))('%s', async (what) => {
    await store.compress('s1');
    const blob = await readFile(blobPath());
    await damages[what]?.();
    await expect(store.unpack('s1')).rejects.toMatchObject({ reason: 'state_damaged' });
    expect((await store.open('s1')).isPacked).toBe(true);
    await replaceBy(blob);
    await store.unpack('s1');
    await expectRaw();
  });
});

describe('a crash', () => {
  test('before the manifest names the packed form leaves the raw checkpoint, and the blob is removed', async () => {
    await blobs.put(key, Readable.from([Buffer.from('half')]));
    await blobs.put('states/s9/x.zst', Readable.from([Buffer.from('of no checkpoint')]));
    await writeFile(`${join(folder, 'store', 'states', 's1')}.manifest.draft`, 'half');
    await reopen();
    await expectRaw();
    expect(await readdir(join(folder, 'store', 'states'))).toEqual(['s1']);
  });

  test('after that leaves the packed checkpoint, and the raw file is removed', async () => {
    await copyFile(inCheckpoint('pages-1.img'), join(folder, 'raw'));
    await store.compress('s1');
    await copyFile(join(folder, 'raw'), inCheckpoint('pages-1.img'));
    expect((await store.open('s1')).isPacked).toBe(true);
    await reopen();
    expect(await readdir(join(folder, 'store', 'states', 's1'))).not.toContain('pages-1.img');
    await store.unpack('s1');
    await expectRaw();
  });

  test('during an unpack leaves the packed checkpoint', async () => {
    await store.compress('s1');
    await writeFile(inCheckpoint('pages-1.img'), 'half');
    await reopen();
    await store.unpack('s1');
    await expectRaw();
  });
});
