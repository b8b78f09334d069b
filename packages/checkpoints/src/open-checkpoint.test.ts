import { lstat, mkdir, open, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeSealedJson } from './sealed-json.ts';
import type { Checkpoint } from './checkpoint-store.ts';
import type { TestStore } from './testing/test-store.ts';
import {
  hashesOf,
  mib,
  openTestStore,
  readParts,
  sealTestCheckpoint,
  testFacts,
  testParts,
} from './testing/test-store.ts';

let shop: TestStore;
let checkpoint: Checkpoint;

beforeEach(async () => {
  shop = await openTestStore();
  checkpoint = await sealTestCheckpoint(shop.store, 's1');
});
afterEach(() => shop[Symbol.asyncDispose]());

const inCheckpoint = (name: string): string => join(shop.directory, 'states', 's1', name);

async function flipByte(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, at);
  await file.close();
}

test('a later store reads back facts, parts and digests of a sealed checkpoint', async () => {
  const store = await shop.reopen();
  const found = await store.open('s1');
  await found.verify();
  expect(found.manifest.facts).toEqual(testFacts());
  expect(await readParts(found)).toEqual(hashesOf(testParts));
  expect(found.digestsOf((name) => name.startsWith('pages')).parts).toEqual({
    'pages-1.img': found.manifest.parts['pages-1.img']?.digests,
  });
  expect(found.manifest.parts['pages-1.img']?.digests).toHaveLength(3);
  expect(found.sizeBytes).toBe(1000 + 2.5 * mib);
});

test('`find` gives undefined and `open` throws for a missing checkpoint', async () => {
  expect(await shop.store.find('s2')).toBeUndefined();
  await expect(shop.store.open('s2')).rejects.toMatchObject({ reason: 'snapshot_not_found' });
});

describe('a damaged checkpoint is refused, and is not removed', () => {
  test.for([
    ['core-1.img', 999, 0],
    ['pages-1.img', 0, 0],
    ['pages-1.img', mib, 1],
    ['pages-1.img', 2.5 * mib - 1, 2],
  ] as const)('a flipped bit of %s at %i is detected in block %i', async ([name, at, block]) => {
    await flipByte(inCheckpoint(name), at);
    const opened = await shop.store.open('s1');
    await expect(opened.verify()).rejects.toMatchObject({
      reason: 'state_damaged',
      message: expect.stringContaining(`${name} of checkpoint "s1" is altered in block ${block}`) as string,
    });
    await opened.verify((part) => part !== name);
    expect(await lstat(inCheckpoint(name))).toBeDefined();
  });

  test('every single flipped bit of the manifest is detected', async () => {
    const manifest = inCheckpoint('manifest.json');
    const { size } = await lstat(manifest);
    for (let at = 0; at < size; at += 1) {
      await flipByte(manifest, at);
      await expect(shop.store.open('s1'), `byte ${at}`).rejects.toMatchObject({ reason: 'state_damaged' });
      await flipByte(manifest, at);
    }
    await (await shop.store.open('s1')).verify();
  });

  const breakages: Readonly<Record<string, () => Promise<void>>> = {
    'a part is missing': () => rm(inCheckpoint('core-1.img')),
    'a part is cut short': () => truncate(inCheckpoint('pages-1.img'), 2 * mib),
    'a part has one byte more': () => truncate(inCheckpoint('empty.img'), 1),
    'there is a file more': () => writeFile(inCheckpoint('extra.img'), ''),
    'there is a folder more': () => mkdir(inCheckpoint('extra')),
    'there is a hidden file more': () => writeFile(inCheckpoint('.hidden'), ''),
    'a part is a link to the same content': async () => {
      await rename(inCheckpoint('core-1.img'), join(shop.directory, 'moved'));
      await symlink(join(shop.directory, 'moved'), inCheckpoint('core-1.img'));
    },
    'the manifest is missing': () => rm(inCheckpoint('manifest.json')),
    'the manifest is half written': () => truncate(inCheckpoint('manifest.json'), 300),
    'the manifest is empty': () => truncate(inCheckpoint('manifest.json'), 0),
    'the manifest is a folder': async () => {
      await rm(inCheckpoint('manifest.json'));
      await mkdir(inCheckpoint('manifest.json'));
    },
    'the manifest is a link': async () => {
      await rename(inCheckpoint('manifest.json'), join(shop.directory, 'moved'));
      await symlink(join(shop.directory, 'moved'), inCheckpoint('manifest.json'));
    },
    'the manifest is enormous': () => truncate(inCheckpoint('manifest.json'), 1024 ** 4),
    'the manifest lacks a field': () => writeSealedJson(inCheckpoint('manifest.json'), { format: 1, stateId: 's1' }),
    'the manifest lacks a digest': () =>
      writeSealedJson(inCheckpoint('manifest.json'), {
        ...checkpoint.manifest,
        parts: { ...checkpoint.manifest.parts, 'core-1.img': { sizeBytes: 1000, digests: [] } },
      }),
    'the manifest names a part outside the folder': () =>
      writeSealedJson(inCheckpoint('manifest.json'), {
        ...checkpoint.manifest,
        parts: { ...checkpoint.manifest.parts, '../../x': { sizeBytes: 0, digests: [] } },
      }),
    'the folder was renamed to another id': async () => {
      await sealTestCheckpoint(shop.store, 's2');
      await rm(join(shop.directory, 'states', 's1'), { recursive: true });
      await rename(join(shop.directory, 'states', 's2'), join(shop.directory, 'states', 's1'));
    },
  };

  test.for(Object.keys(breakages))('%s', async (what) => {
    await breakages[what]?.();
    const before = await readdir(join(shop.directory, 'states', 's1'));
    await expect(shop.store.open('s1')).rejects.toMatchObject({ reason: 'state_damaged' });
    const later = await shop.reopen();
    expect(await later.list()).toEqual(['s1']);
    expect(await readdir(join(shop.directory, 'states', 's1'))).toEqual(before);
  });

  test('a part that shrinks between open and verify is detected', async () => {
    await truncate(inCheckpoint('pages-1.img'), mib);
    await expect(checkpoint.verify()).rejects.toMatchObject({ reason: 'state_damaged' });
  });

  test('a part that is missing at verify is detected', async () => {
    await rm(inCheckpoint('pages-1.img'));
    await expect(checkpoint.verify()).rejects.toMatchObject({ reason: 'state_damaged' });
  });

  test('no message contains data of a part or the manifest', async () => {
    await flipByte(inCheckpoint('manifest.json'), 200);
    await expect(shop.store.open('s1')).rejects.toThrow(/^(?!.*secret-of).*manifest of checkpoint "s1"/);
  });
});

test.for([3, 0, '1', null])('a checkpoint of format %j is incompatible, not damaged', async (format) => {
  await writeSealedJson(inCheckpoint('manifest.json'), { format, somethingElse: true });
  await expect(shop.store.open('s1')).rejects.toMatchObject({ reason: 'state_incompatible' });
});
