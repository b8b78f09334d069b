import { closeSync } from 'node:fs';
import { mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoopDevice } from '@soulbox/linux/loop-devices';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLayerDevices } from './layer-devices.ts';
import { findBackingFile } from './loop-devices.ts';

let folder: string;
let image: string;
let opened: LoopDevice[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-layers-'));
  image = await makeImage('image');
});
afterEach(async () => {
  for (const { descriptor } of opened) closeSync(descriptor);
  opened = [];
  await rm(folder, { recursive: true });
});

async function makeImage(name: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, '');
  await truncate(path, 1024 * 1024);
  return path;
}

const keep = (devices: readonly LoopDevice[]): readonly string[] => {
  opened.push(...devices);
  return devices.map(({ name }) => name);
};

test('all users of a layer share one device, also if they come at once, and the next server finds it', async () => {
  const layers = createLayerDevices();
  const [first, second] = keep(await Promise.all([layers.open(image), layers.open(image)]));
  expect(findBackingFile(first ?? '')).toBe(image);
  expect(second).toBe(first);
  expect(keep([await createLayerDevices().open(image)])).toEqual([first]);
  expect(keep([await layers.open(await makeImage('other'))])).not.toEqual([first]);
});

test('a device that has another file by now is not used', async () => {
  const layers = createLayerDevices();
  const [first] = keep([await layers.open(image)]);
  await rename(image, join(folder, 'moved'));
  await makeImage('image');
  const [second] = keep([await layers.open(image)]);
  expect(second).not.toBe(first);
  expect(findBackingFile(second ?? '')).toBe(image);
});

test('a layer that is not there is an error', async () => {
  await expect(createLayerDevices().open(join(folder, 'none'))).rejects.toThrow(/ENOENT/);
});
