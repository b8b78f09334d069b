import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findUserNamespaceImage, userNamespaceImage } from './user-namespace-image.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-images-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const magic = Buffer.from('0102030405060708', 'hex');

test('the magic numbers stay, and the maps are those of the new range', async () => {
  await writeFile(join(folder, 'userns-9.img'), Buffer.concat([magic, Buffer.from('04000000aabbccdd', 'hex')]));
  const image = await userNamespaceImage(folder, 'userns-9.img', 0xc2_bb_00_00);
  // Two extents: field 1 is 0, field 2 the base as a varint, field 3 is 65536.
  const extent = '0800108080ec950c18808004';
  expect(image.toString('hex')).toBe(`${magic.toString('hex')}1c0000000a0c${extent}120c${extent}`);
});

test('the image is found by its name', async () => {
  for (const name of ['userns-12.img', 'core-1.img', 'userns.img', 'userns-1.img.old', 'old-userns-1.img'])
    await writeFile(join(folder, name), '');
  expect(await findUserNamespaceImage(folder)).toBe('userns-12.img');
});

test.each([[[]], [['userns-1.img', 'userns-2.img']]])('%j names no user namespace', async (names) => {
  for (const name of names) await writeFile(join(folder, name), '');
  await expect(findUserNamespaceImage(folder)).rejects.toMatchObject({ reason: 'state_damaged' });
});

test.each(['', '0102', '010203040506070804000000'])('an image of %j is damaged', async (hex) => {
  await writeFile(join(folder, 'userns-1.img'), Buffer.from(hex, 'hex'));
  await expect(userNamespaceImage(folder, 'userns-1.img', 1)).rejects.toMatchObject({ reason: 'state_damaged' });
});
