import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freshDiskMb, imageSizeBytes, makeImageFile } from './disk.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-disk-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function makeLayer(name: string, usedMb: number): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, Buffer.alloc(usedMb * 2 ** 20, 1), { flush: true });
  return path;
}

test('an image is a 128th larger than the disk it offers, in whole blocks', () => {
  expect(imageSizeBytes(1024)).toBe(1032 * 1024 * 1024);
  for (const size of [1, 10, 333, 10_240]) expect(imageSizeBytes(size) % 4096).toBe(0);
});

test('without layers a disk has its full size', async () => {
  expect(await freshDiskMb(100, [])).toBe(100);
});

test('a disk is smaller by the content of all layers', async () => {
  const layers = [await makeLayer('a', 10), await makeLayer('b', 20)];
  expect(await freshDiskMb(1_000, layers)).toBeCloseTo(970, 0);
});

test('free space in a layer does not count', async () => {
  const sparse = join(folder, 'sparse');
  await makeImageFile(sparse, 1_000);
  expect(await freshDiskMb(1_000, [sparse])).toBe(1_000);
});

test('if the layers are as full as the disk, 64 MiB are left, or the whole disk if that is smaller', async () => {
  const layers = [await makeLayer('a', 90)];
  expect(await freshDiskMb(100, layers)).toBe(64);
  expect(await freshDiskMb(50, layers)).toBe(50);
});

test('a missing layer is an error', async () => {
  await expect(freshDiskMb(100, [join(folder, 'none')])).rejects.toThrow('ENOENT');
});
