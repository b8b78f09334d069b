import { link, open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { TestStore } from './testing/test-store.ts';
import { mib, openTestStore } from './testing/test-store.ts';

let shop: TestStore;
beforeEach(async () => {
  shop = await openTestStore();
});
afterEach(() => shop[Symbol.asyncDispose]());

const sizeBytes = 1024 * mib + 512 * 1024;
/** The last block is short. */
const written = [0, 5 * mib + 123, 700 * mib - 1, sizeBytes - 1];

/** A sparse file with a few bytes in it. */
async function writeSparse(path: string): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(sizeBytes);
  for (const at of written) await file.write(Buffer.from([7]), 0, 1, at);
  await file.close();
}

async function writeByte(path: string, at: number, value: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(Buffer.from([value]), 0, 1, at);
  await file.close();
}

async function makeLayer(): Promise<string> {
  const path = shop.store.layerPath('l1');
  await writeSparse(path);
  await shop.store.sealLayer('l1');
  // A new store has not checked the layer yet.
  await shop.reopen();
  return path;
}

const damaged = (message: string): object => ({
  reason: 'state_damaged',
  message: expect.stringContaining(message) as string,
});

describe('a layer', () => {
  test('is intact for a later store, and its holes stay holes', async () => {
    const path = await makeLayer();
    await shop.store.verifyLayer('l1');
    expect((await stat(path)).blocks * 512).toBeLessThan(mib);
  });

  test('can be sealed with known digests, which are checked later', async () => {
    await makeLayer();
    const { digests } = await shop.store.digestsOfLayer('l1');
    for (const [id, known] of [['l2', digests] as const, ['l3', digests.toReversed()] as const]) {
      await link(shop.store.layerPath('l1'), shop.store.layerPath(id));
      await shop.store.sealLayer(id, known);
    }
    await shop.reopen();
    await shop.store.verifyLayer('l2');
    expect(await shop.store.digestsOfLayer('l2')).toEqual(await shop.store.digestsOfLayer('l1'));
    await expect(shop.store.verifyLayer('l3')).rejects.toMatchObject({ reason: 'state_damaged' });
  });

  test.for(written)('with a byte altered at %i is refused with the number of its block', async (at) => {
    const path = await makeLayer();
    await writeByte(path, at, 8);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged(`in block ${Math.floor(at / mib)}`));
  });

  test('with a byte written into a hole is refused', async () => {
    const path = await makeLayer();
    await writeByte(path, 300 * mib, 1);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged('in block 300'));
  });

  test('with data that became a hole is refused', async () => {
    const path = await makeLayer();
    await run('fallocate', ['--punch-hole', '--offset', String(5 * mib), '--length', String(mib), path]);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged('in block 5'));
  });

  test('whose holes were filled with zeros, as a copy may do, is accepted', async () => {
    const path = await makeLayer();
    await run('fallocate', ['--posix', '--offset', String(10 * mib), '--length', String(3 * mib), path]);
    await writeByte(path, sizeBytes - 2, 0);
    await shop.store.verifyLayer('l1');
  });

  test('that is shorter, longer, missing or not sealed is refused', async () => {
    const path = await makeLayer();
    await truncate(path, sizeBytes - 1);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged('size'));
    await truncate(path, sizeBytes + 1);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged('size'));
    await rm(path);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged('missing'));
    await writeSparse(shop.store.layerPath('l2'));
    await expect(shop.store.verifyLayer('l2')).rejects.toMatchObject(damaged('digests of layer l2'));
  });

  test('with altered digests, or those of another layer, is refused', async () => {
    await makeLayer();
    const digests = join(shop.directory, 'layers', 'l1.json');
    await writeByte(digests, 120, 0x30);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged('digests of layer l1'));
    await writeSparse(shop.store.layerPath('l2'));
    await shop.store.sealLayer('l2');
    await run('cp', ['--', join(shop.directory, 'layers', 'l2.json'), digests]);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject(damaged('digests of layer l1'));
  });

  test('is read once, so later changes are not detected', async () => {
    const path = await makeLayer();
    await shop.store.verifyLayer('l1');
    await writeByte(path, 0, 9);
    await shop.store.verifyLayer('l1');
    await expect((await shop.reopen()).verifyLayer('l1')).rejects.toMatchObject({ reason: 'state_damaged' });
  });

  test('that failed its check passes the next one when the right content is back', async () => {
    const path = await makeLayer();
    await writeByte(path, 0, 9);
    await expect(shop.store.verifyLayer('l1')).rejects.toMatchObject({ reason: 'state_damaged' });
    await writeByte(path, 0, 7);
    await shop.store.verifyLayer('l1');
  });

  test('that is missing cannot be sealed, and leaves nothing', async () => {
    await expect(shop.store.sealLayer('l9')).rejects.toMatchObject({ reason: 'file_not_found' });
    expect(await readdir(join(shop.directory, 'layers'))).toEqual([]);
  });
});
