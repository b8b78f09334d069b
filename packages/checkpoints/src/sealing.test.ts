import { appendFile, copyFile, mkdir, readdir, readFile, rename, rm, writeFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hash } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { openDiskBlobs } from '@soulbox/storage';
import type { Checkpoint } from './checkpoint-store.ts';
import { openCheckpointStore } from './open-checkpoint-store.ts';
import { readSealedJson, writeSealedJson } from './sealed-json.ts';
import type { TestStore } from './testing/test-store.ts';
import {
  hashesOf,
  mib,
  openTestStore,
  patternOf,
  readParts,
  sealTestCheckpoint,
  testFacts,
  testKeys,
  testOptions,
  testParts,
} from './testing/test-store.ts';

let shop: TestStore;
beforeEach(async () => {
  shop = await openTestStore();
});
afterEach(() => shop[Symbol.asyncDispose]());

const pathIn = (checkpointId: string, name: string): string => join(shop.directory, 'states', checkpointId, name);
const canary = 'canary-8c41b7d2';
const damage = { reason: 'state_damaged' };
const nothingLate = { isMemory: (name: string) => name.startsWith('pages'), isLate: () => false };

/** Checkpoints with the same parts, as a sandbox that is paused twice has them. */
async function sealTwice(): Promise<[Checkpoint, Checkpoint]> {
  return [await sealTestCheckpoint(shop.store, 's1'), await sealTestCheckpoint(shop.store, 's2')];
}

/** All bytes of the files below a folder. */
async function bytesBelow(folder: string): Promise<Buffer> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((name) => name.isFile()).map((name) => join(name.parentPath, name.name));
  return Buffer.concat(await Promise.all(files.map((file) => readFile(file))));
}

/** Reveals a checkpoint and waits for its pages. */
async function revealAll(checkpointId: string): Promise<void> {
  await using clear = await (await shop.store.open(checkpointId)).reveal(nothingLate);
  await clear.pagesChecked;
}

test('neither parts nor facts of a checkpoint are readable in its folder, also while it is written', async () => {
  await using draft = await shop.store.begin('s1');
  draft.follow((name) => name.startsWith('pages'));
  const pages = Buffer.concat([patternOf(3 * mib), Buffer.from(canary)]);
  await writeFile(join(draft.directory, 'pages-1.img'), pages);
  await writeFile(join(draft.directory, 'core-1.img'), canary);
  const states = join(shop.directory, 'states');
  expect((await bytesBelow(states)).includes(canary)).toBe(false);
  await draft.seal(testFacts({ tenant: { token: canary } }));
  const stored = await bytesBelow(states);
  expect(stored.length).toBeGreaterThan(3 * mib);
  expect([canary, 'tbase', pages.subarray(0, 64)].map((text) => stored.includes(text))).toEqual([false, false, false]);
});

test('equal parts of two checkpoints, and of one that is saved again, have no equal block', async () => {
  const [one, other] = await sealTwice();
  const blocks = await Promise.all(['s1', 's2'].map(async (id) => await readFile(pathIn(id, 'pages-1.img'))));
  expect(blocks[0]?.equals(blocks[1] ?? Buffer.alloc(0))).toBe(false);
  const seals = [one, other].flatMap(({ manifest }) => Object.values(manifest.parts).flatMap(({ digests }) => digests));
  expect(new Set(seals).size).toBe(seals.length);
});

test('clear content is removed with the draft, after a restore and after a failed one', async () => {
  const clear = join(shop.directory, 'clear');
  const isEmpty = async (): Promise<void> => {
    await expect.poll(async () => await readdir(clear)).toEqual([]);
  };
  await sealTestCheckpoint(shop.store, 's1');
  await isEmpty();
  {
    await using revealed = await (await shop.store.open('s1')).reveal(nothingLate);
    await revealed.pagesChecked;
    expect(
      (await readFile(join(revealed.directory, 'pages-1.img'))).equals(testParts['pages-1.img'] ?? Buffer.alloc(0)),
    ).toBe(true);
    expect(await readdir(clear)).toHaveLength(1);
  }
  await isEmpty();
  await writeFile(pathIn('s1', 'core-1.img'), Buffer.alloc(1000));
  await expect(revealAll('s1')).rejects.toMatchObject(damage);
  await writeFile(pathIn('s1', 'pages-1.img'), Buffer.alloc(2.5 * mib));
  await expect(revealAll('s1')).rejects.toMatchObject(damage);
  await isEmpty();
});

test('restores that share a clear copy read the checkpoint once; its removal and its damage end the copy', async () => {
  const clear = join(shop.directory, 'clear');
  const reveal = async () => await (await shop.store.open('s1')).reveal(nothingLate, { isShared: true });
  await sealTestCheckpoint(shop.store, 's1');
  await rename(pathIn('s1', 'pages-1.img'), join(shop.directory, 'pages'));
  await writeFile(pathIn('s1', 'pages-1.img'), Buffer.alloc(2.5 * mib));
  {
    await using damaged = await reveal();
    await expect(damaged.pagesChecked).rejects.toMatchObject(damage);
  }
  await rename(join(shop.directory, 'pages'), pathIn('s1', 'pages-1.img'));
  const [one, other] = [await reveal(), await reveal()];
  await Promise.all([one.pagesChecked, other.pagesChecked]);
  expect([other.directory, other.scratch === one.scratch]).toEqual([one.directory, false]);
  expect((await readFile(join(one.directory, 'pages-1.img'))).equals(testParts['pages-1.img'] ?? Buffer.alloc(0))).toBe(
    true,
  );
  await one[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  // It stays for the next restore, until the host needs the memory.
  await expect.poll(async () => await readdir(clear)).toHaveLength(1);
  await using third = await reveal();
  expect(third.directory).toBe(one.directory);
  await third[Symbol.asyncDispose]();
  shop.store.dropClear();
  await expect.poll(async () => await readdir(clear)).toEqual([]);
  await using fourth = await reveal();
  await fourth[Symbol.asyncDispose]();
  await shop.store.remove('s1');
  await expect.poll(async () => await readdir(clear)).toEqual([]);
});

test('a store that is closed has removed its clear content', async () => {
  {
    await using draft = await shop.store.begin('s1');
    await writeFile(join(draft.directory, 'pages-1.img'), patternOf(20 * mib));
  }
  await using again = await shop.store.begin('s1');
  expect(await readdir(again.directory)).toEqual([]);
  await again[Symbol.asyncDispose]();
  await shop.store[Symbol.asyncDispose]();
  expect(await readdir(join(shop.directory, 'clear'))).toEqual([]);
  await shop.reopen();
});

test('what a dead server left in memory is removed: drafts at once, the rest when no restore is in progress', async () => {
  const clear = join(shop.directory, 'clear');
  for (const name of ['s1.dead.draft', 's2.dead.x']) await mkdir(join(clear, name));
  const store = await shop.reopen();
  expect(await readdir(clear)).toEqual(['s2.dead.x']);
  await using draft = await store.begin('s3');
  await store.sweepClear();
  expect(await readdir(draft.directory)).toEqual([]);
  expect((await readdir(clear)).filter((name) => name.includes('dead'))).toEqual([]);
});

describe('no byte is used of', () => {
  const swap = async (one: string, other: string): Promise<void> => {
    await copyFile(one, `${one}.tmp`);
    await copyFile(other, one);
    await rename(`${one}.tmp`, other);
  };
  const blockSwap = async (): Promise<void> => {
    const path = pathIn('s1', 'pages-1.img');
    const bytes = await readFile(path);
    await writeFile(
      path,
      Buffer.concat([bytes.subarray(mib, 2 * mib), bytes.subarray(0, mib), bytes.subarray(2 * mib)]),
    );
  };
  const attacks: Readonly<Record<string, () => Promise<void>>> = {
    'a part of another checkpoint of the same sandbox': () =>
      copyFile(pathIn('s2', 'pages-1.img'), pathIn('s1', 'pages-1.img')),
    'parts that were swapped': () => swap(pathIn('s1', 'pages-1.img'), pathIn('s1', 'pages-2.img')),
    'blocks that were swapped': blockSwap,
    'a block that stands twice': async () => {
      const bytes = await readFile(pathIn('s1', 'pages-1.img'));
      bytes.copy(bytes, mib, 0, mib);
      await writeFile(pathIn('s1', 'pages-1.img'), bytes);
    },
    'a part without its last block': () => truncate(pathIn('s1', 'pages-1.img'), 2 * mib),
    'a part without its first block': async () =>
      await writeFile(pathIn('s1', 'pages-1.img'), (await readFile(pathIn('s1', 'pages-1.img'))).subarray(mib)),
    'a part that is longer': () => appendFile(pathIn('s1', 'pages-1.img'), Buffer.alloc(mib)),
    'a part that is zeros': () => writeFile(pathIn('s1', 'pages-1.img'), Buffer.alloc(2.5 * mib)),
    'a part that is readable again': () => writeFile(pathIn('s1', 'pages-1.img'), testParts['pages-1.img'] ?? ''),
  };
  test.for(Object.keys(attacks))('%s', async (what) => {
    for (const id of ['s1', 's2']) {
      await using draft = await shop.store.begin(id);
      for (const name of ['pages-1.img', 'pages-2.img'])
        await writeFile(join(draft.directory, name), testParts['pages-1.img'] ?? '');
      await draft.seal(testFacts());
    }
    await attacks[what]?.();
    await expect(revealAll('s1')).rejects.toMatchObject(damage);
    await revealAll('s2');
    expect(await (await shop.reopen()).list()).toEqual(['s1', 's2']);
  });

  test('an old checkpoint under the id of another', async () => {
    await sealTwice();
    await rm(join(shop.directory, 'states', 's2'), { recursive: true });
    await rename(join(shop.directory, 'states', 's1'), join(shop.directory, 'states', 's2'));
    await expect(shop.store.open('s2')).rejects.toMatchObject(damage);
  });

  test.for(['stateId', 'key', 'seal', 'manifest'])(
    'an old checkpoint whose manifest has the %s of another one as well',
    async (field) => {
      await sealTwice();
      const [old, present] = await Promise.all(
        ['s1', 's2'].map(async (id) => (await readSealedJson(pathIn(id, 'manifest.json'))) as Record<string, unknown>),
      );
      await writeSealedJson(pathIn('s2', 'manifest.json'), { ...old, [field]: present?.[field] });
      await expect(shop.store.open('s2')).rejects.toMatchObject(damage);
    },
  );

  test('a readable manifest in place of an encrypted one', async () => {
    const checkpoint = await sealTestCheckpoint(shop.store, 's1');
    await writeSealedJson(pathIn('s1', 'manifest.json'), { ...checkpoint.manifest, format: 1 });
    // It is read as a checkpoint of an older version, and its parts do not match.
    await expect(revealAll('s1')).rejects.toMatchObject(damage);
  });
});

describe('with another key', () => {
  test('a checkpoint is refused and stays', async () => {
    await sealTestCheckpoint(shop.store, 's1');
    await shop.store[Symbol.asyncDispose]();
    const before = await bytesBelow(join(shop.directory, 'states'));
    {
      await using other = await openCheckpointStore({
        ...testOptions(shop.directory),
        keys: testKeys(Buffer.alloc(32, 8)),
      });
      await expect(other.open('s1')).rejects.toMatchObject(damage);
      const collected = await other.collect(() => ({ checkpoints: new Set(['s1']), layers: new Set() }));
      expect(collected).toEqual({ removedCheckpoints: [], removedLayers: [] });
    }
    expect((await bytesBelow(join(shop.directory, 'states'))).equals(before)).toBe(true);
    expect(await readParts(await (await openAgain()).open('s1'))).toEqual(hashesOf(testParts));
  });

  test('or without any, the error of the keys is passed on, and no layer is removed', async () => {
    await sealTestCheckpoint(shop.store, 's1');
    await shop.store[Symbol.asyncDispose]();
    const lost = new SoulBoxError('master_key_missing', 'It is missing.');
    const keys = { ...testKeys(), open: () => Promise.reject(lost) };
    {
      await using store = await openCheckpointStore({ ...testOptions(shop.directory), keys });
      await writeFile(store.layerPath('l1'), Buffer.alloc(5000, 1));
      await store.sealLayer('l1');
      await expect(store.open('s1')).rejects.toBe(lost);
      const collected = await store.collect(() => ({ checkpoints: new Set(['s1']), layers: new Set() }));
      expect(collected).toEqual({ removedCheckpoints: [], removedLayers: [] });
    }
    await openAgain();
  });

  const openAgain = (): ReturnType<TestStore['reopen']> => shop.reopen();
});

describe('a checkpoint of a version that did not encrypt', () => {
  beforeEach(async () => {
    const directory = join(shop.directory, 'states', 'old');
    await mkdir(directory);
    const parts: Record<string, unknown> = {};
    for (const [name, content] of Object.entries(testParts)) {
      await writeFile(join(directory, name), content);
      const starts = Array.from({ length: Math.ceil(content.length / mib) }, (_, index) => index * mib);
      const digests = starts.map((at) => hash('sha256', content.subarray(at, at + mib)));
      parts[name] = { sizeBytes: content.length, digests };
    }
    const manifest = { format: 1, stateId: 'old', facts: testFacts(), blockBytes: mib, parts, packed: {} };
    await writeSealedJson(join(directory, 'manifest.json'), manifest);
  });

  test('is read as it is, from its own folder', async () => {
    const old = await shop.store.open('old');
    expect(old.key).toBeUndefined();
    await using clear = await old.reveal(nothingLate);
    await clear.pagesChecked;
    expect([clear.directory, clear.digests.sealed]).toEqual([old.directory, undefined]);
    expect(await readParts(old)).toEqual(hashesOf(testParts));
  });

  test('is refused when a byte of it was altered', async () => {
    await writeFile(pathIn('old', 'pages-1.img'), Buffer.alloc(2.5 * mib));
    await expect(revealAll('old')).rejects.toMatchObject(damage);
  });
});

test('a collection, a sweep of the archive and a copy overwrite the keys of the checkpoints that they read', async () => {
  await sealTestCheckpoint(shop.store, 's1');
  await shop.store[Symbol.asyncDispose]();
  const opened: Buffer[] = [];
  const keys = testKeys();
  const open = async (checkpointId: string, sealed: string): Promise<Buffer> => {
    const key = await keys.open(checkpointId, sealed);
    opened.push(key);
    return key;
  };
  const blobs = await openDiskBlobs({ directory: join(shop.directory, 'blobs') });
  // The sweep of the archive.
  await using store = await openCheckpointStore({ ...testOptions(shop.directory), keys: { ...keys, open }, blobs });
  expect(opened).toHaveLength(1);
  await store.collect(() => ({ checkpoints: new Set(['s1']), layers: new Set() }));
  await store.linkInto(join(shop.directory, 'copy'), ['s1'], []);
  expect(opened).toHaveLength(3);
  expect(opened.every((key) => key.equals(Buffer.alloc(key.length)))).toBe(true);
});
