import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hasFile } from './has-file.ts';
import { removeTree } from './remove-tree.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'has-file-'));
});
afterEach(async () => await removeTree(folder));

test('folders in folders are no file, and neither is a folder that is missing', async () => {
  await mkdir(join(folder, 'a/b/c'), { recursive: true });
  await mkdir(join(folder, 'd'));
  expect([await hasFile(folder), await hasFile(join(folder, 'missing'))]).toEqual([false, false]);
});

test.for(['file', 'a/file', 'a/b/c/file'])('the file %s is found', async (path) => {
  await mkdir(join(folder, 'a/b/c'), { recursive: true });
  await writeFile(join(folder, path), '');
  expect(await hasFile(folder)).toBe(true);
});

test('a link counts, and is not followed', async () => {
  await mkdir(join(folder, 'in'));
  expect(await hasFile(join(folder, 'in'))).toBe(false);
  await symlink(folder, join(folder, 'in/link'));
  expect(await hasFile(join(folder, 'in'))).toBe(true);
});

test('exceptions are names of the folder itself', async () => {
  await mkdir(join(folder, 'not-this'));
  await writeFile(join(folder, 'not-this/file'), '');
  expect(await hasFile(folder, ['not-this'])).toBe(false);
  await mkdir(join(folder, 'a'));
  await writeFile(join(folder, 'a/not-this'), '');
  expect(await hasFile(folder, ['not-this'])).toBe(true);
});

test('folders without end count as a file', async () => {
  await mkdir(join(folder, 'x/'.repeat(500)), { recursive: true });
  expect(await hasFile(folder)).toBe(true);
});
