import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimImage } from './claim-image.ts';
import { rootLayoutOf } from './layout.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-claim-'));
});
afterEach(() => rm(folder, { recursive: true }));

const make = async (...names: string[]): Promise<void> => {
  for (const name of names) await writeFile(join(folder, name), name);
};
const claim = async (instance: number, directory = folder): Promise<void> => {
  await claimImage(rootLayoutOf(instance, 'iabc', directory), 'iabc', directory);
};

test('a disk that a server with another number has left is renamed for this one, with its digests', async () => {
  await make('soulbox-2-iabc.img', 'soulbox-2-iabc.img.digests', 'ran');
  await claim(11);
  expect(await readdir(folder)).toEqual(['ran', 'soulbox-11-iabc.img', 'soulbox-11-iabc.img.digests']);
});

test('its own disk stays, and so does a file that only looks like a disk', async () => {
  const names = ['soulbox-11-iabc.img', 'soulbox-2-iabc.img', 'soulbox-2-other.img', 'x-iabc.img'];
  await make(...names);
  await claim(11);
  expect(await readdir(folder)).toEqual(names);
});

test('without a disk nothing happens', async () => {
  await claim(11);
  await claim(11, join(folder, 'missing'));
  expect(await readdir(folder)).toEqual([]);
});
