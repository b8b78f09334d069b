import { chown, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeLeftRoots } from './left-roots.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-roots-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function make(name: string): Promise<string> {
  const path = join(directory, name);
  await mkdir(path);
  await utimes(path, 0, 0);
  return path;
}

test('only old, empty folders that CRIU created as root are removed', async () => {
  await make('.criu.mntns.left01');
  await make('.criu.mntns.toolong');
  await make('other');
  await writeFile(join(await make('.criu.mntns.filled'), 'file'), '');
  await utimes(join(directory, '.criu.mntns.filled'), 0, 0);
  await chown(await make('.criu.mntns.tenant'), 1000, 1000);
  await mkdir(join(directory, '.criu.mntns.recent'));
  await symlink(await make('target'), join(directory, '.criu.mntns.linked'));
  await removeLeftRoots(directory, Date.now() + 11 * 60_000);
  const kept = [
    '.criu.mntns.filled',
    '.criu.mntns.linked',
    '.criu.mntns.tenant',
    '.criu.mntns.toolong',
    'other',
    'target',
  ];
  expect((await readdir(directory)).sort()).toEqual(kept);

  await mkdir(join(directory, '.criu.mntns.recent'));
  await removeLeftRoots(directory);
  expect(await readdir(directory)).toContain('.criu.mntns.recent');
});
