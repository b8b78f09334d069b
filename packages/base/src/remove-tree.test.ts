import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rmdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from './remove-tree.ts';
import { run } from './run.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-remove-tree-'));
});
afterEach(async () => {
  await removeTree(folder);
});

test('absent, empty and full folders, files and links are gone afterwards', async () => {
  const full = join(folder, 'full');
  await mkdir(join(full, 'a/b'), { recursive: true });
  await writeFile(join(full, 'a/b/file'), 'x');
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'file'), 'x');
  await symlink('full', join(folder, 'link'));
  for (const name of ['absent', 'empty', 'file', 'link']) await removeTree(join(folder, name));
  expect(readdirSync(folder)).toEqual(['full']);
  expect(existsSync(join(full, 'a/b/file'))).toBe(true);
  await removeTree(full);
  expect(readdirSync(folder)).toEqual([]);
});

test('a mount point, empty or not, is an error', async () => {
  const mount = join(folder, 'outer/mount');
  await mkdir(mount, { recursive: true });
  await run('mount', ['-t', 'tmpfs', 'soulbox-test', mount]);
  try {
    await expect(removeTree(mount)).rejects.toThrow('busy');
    await writeFile(join(mount, 'file'), 'x');
    await expect(removeTree(join(folder, 'outer'))).rejects.toThrow('outer');
    expect(readdirSync(mount)).toEqual(['file']);
  } finally {
    await run('umount', ['--', mount]);
  }
  await rmdir(mount);
});
