import { open, readdir, readFile, rename, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { StampedDisk } from './manifest.ts';
import { diskDigestsSchema } from './manifest.ts';
import type { TestStore } from './testing/test-store.ts';
import { mib, openTestStore } from './testing/test-store.ts';

let shop: TestStore;
let disk: string;
beforeEach(async () => {
  shop = await openTestStore();
  disk = join(shop.directory, 'disk.img');
  await makeDisk();
});
afterEach(() => shop[Symbol.asyncDispose]());

const sizeBytes = 2048 * mib + 512 * 1024;

/** Mostly holes. The last block is short. */
async function makeDisk(): Promise<void> {
  const file = await open(disk, 'w');
  await file.truncate(sizeBytes);
  for (const at of [0, 9 * mib + 5, sizeBytes - 1]) await file.write(Buffer.from([7]), 0, 1, at);
  await file.close();
}

async function writeByte(at: number, value: number): Promise<void> {
  const file = await open(disk, 'r+');
  await file.write(Buffer.from([value]), 0, 1, at);
  await file.close();
}

describe('the digests of a disk', () => {
  test('contain only the blocks with data, and survive JSON', async () => {
    const found = await shop.store.digestDisk(disk);
    expect(found).toMatchObject({ checked: 'content', sizeBytes });
    expect('blocks' in found && Object.keys(found.blocks)).toEqual(['0', '9', '2048']);
    await shop.store.verifyDisk(disk, diskDigestsSchema.parse(JSON.parse(JSON.stringify(found))));
  });

  test('ignore times and holes that are filled with zeros', async () => {
    const found = await shop.store.digestDisk(disk);
    await utimes(disk, 1, 1);
    await writeByte(1000 * mib, 0);
    await shop.store.verifyDisk(disk, found);
    await run('fallocate', ['--dig-holes', disk]);
    await shop.store.verifyDisk(disk, found);
  });

  test.each([
    ['a byte that was written', 9 * mib + 5, 8, 9],
    ['a byte that was taken away', 0, 0, 0],
    ['a byte where nothing was', 1000 * mib, 1, 1000],
    ['the last byte', sizeBytes - 1, 6, 2048],
  ])('detect %s', async (_what, at, value, block) => {
    const found = await shop.store.digestDisk(disk);
    await writeByte(at, value);
    const message = `The disk of the paused sandbox is altered in block ${block}. `;
    await expect(shop.store.verifyDisk(disk, found)).rejects.toMatchObject({
      reason: 'state_damaged',
      message: expect.stringContaining(message) as string,
    });
  });

  test.each([sizeBytes - 1, sizeBytes + 1, 0])('detect a disk of %i bytes', async (size) => {
    const found = await shop.store.digestDisk(disk);
    await truncate(disk, size);
    await expect(shop.store.verifyDisk(disk, found)).rejects.toThrow('has a different size');
  });

  test('detect a missing disk', async () => {
    const found = await shop.store.digestDisk(disk);
    await rename(disk, `${disk}.away`);
    await expect(shop.store.verifyDisk(disk, found)).rejects.toThrow('is missing');
    await expect(shop.store.digestDisk(disk)).rejects.toThrow('ENOENT');
  });

  describe('of a disk with too much data', () => {
    const digestLarge = async (): Promise<StampedDisk> => {
      const found = await shop.store.digestDisk(disk, 2 * mib);
      if (found.checked !== 'stamp') throw new Error('the disk was read');
      return found;
    };
    const always = (): boolean => true;

    test('are sizes and a stamp, which every write changes', async () => {
      const found = await digestLarge();
      expect(found).toMatchObject({ sizeBytes, allocatedBytes: (await stat(disk)).blocks * 512 });
      await shop.store.verifyDisk(disk, diskDigestsSchema.parse(JSON.parse(JSON.stringify(found))));
      await writeByte(9 * mib + 5, 8);
      await utimes(disk, 1, 1);
      await expect(shop.store.verifyDisk(disk, found)).rejects.toMatchObject({
        reason: 'state_damaged',
        message: expect.stringContaining('was written to, and its previous content is unknown') as string,
      });
    });

    test('are computed in the background, and then distinguish a changed disk from one with only new times', async () => {
      const found = await digestLarge();
      await shop.store.digestInBackground(disk, found, always);
      await utimes(disk, 1, 1);
      await shop.store.verifyDisk(disk, found);
      await writeByte(9 * mib + 5, 8);
      await expect(shop.store.verifyDisk(disk, found)).rejects.toThrow('is altered in block 9.');
      await writeByte(9 * mib + 5, 7);
      await shop.store.verifyDisk(disk, found);
    });

    test('accept a copy of the disk in its place', async () => {
      const found = await digestLarge();
      await shop.store.digestInBackground(disk, found, always);
      await run('cp', ['--sparse=always', disk, `${disk}.backup`]);
      await rename(`${disk}.backup`, disk);
      await shop.store.verifyDisk(disk, found);
    });

    test('are not computed again, and not written for a disk that changed meanwhile or is not wanted', async () => {
      const found = await digestLarge();
      let asked = 0;
      const onlyOnce = (): boolean => ++asked === 1;
      await shop.store.digestInBackground(disk, found, onlyOnce);
      expect(await readdir(shop.directory)).not.toContain('disk.img.digests');
      await utimes(disk, 1, 1);
      await shop.store.digestInBackground(disk, found, always);
      expect(await readdir(shop.directory)).not.toContain('disk.img.digests');
      const later = await digestLarge();
      await shop.store.digestInBackground(disk, later, always);
      const { mtimeMs } = await stat(`${disk}.digests`);
      await shop.store.digestInBackground(disk, later, () => expect.fail('it was read again'));
      expect((await stat(`${disk}.digests`)).mtimeMs).toBe(mtimeMs);
    });

    test('are ignored if they are altered or belong to another disk', async () => {
      const found = await digestLarge();
      await shop.store.digestInBackground(disk, found, always);
      const text = await readFile(`${disk}.digests`, 'utf8');
      await utimes(disk, 1, 1);
      await writeFile(`${disk}.digests`, text.replace(/"0":"./, '"0":"_'));
      await expect(shop.store.verifyDisk(disk, found)).rejects.toThrow('is unknown');
      await writeFile(`${disk}.digests`, text);
      await expect(shop.store.verifyDisk(disk, { ...found, stamp: '1:2:3' })).rejects.toThrow('is unknown');
      await shop.store.verifyDisk(disk, found);
    });
  });

  test('of a disk without data need no reading, whatever the limit', async () => {
    await truncate(disk, 0);
    await truncate(disk, sizeBytes);
    const found = await shop.store.digestDisk(disk, 0);
    expect(found).toEqual({ checked: 'content', sizeBytes, blocks: {} });
    await shop.store.verifyDisk(disk, found);
    await writeByte(sizeBytes - 1, 1);
    await expect(shop.store.verifyDisk(disk, found)).rejects.toThrow('is altered in block 2048');
  });
});
