import { mkdir, mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildEnvdBundle, removeOldBundles } from './build-bundle.ts';

let parent: string;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'soulbox-envd-bundle-'));
});

afterAll(async () => {
  await removeTree(parent);
});

test(
  'two simultaneous builds produce one complete folder, and a third build finds it',
  { timeout: 120_000 },
  async () => {
    const [one, two] = await Promise.all([buildEnvdBundle(parent), buildEnvdBundle(parent)]);
    expect(two).toEqual(one);
    expect(await readdir(parent)).toEqual([one.directory.slice(parent.length + 1)]);
    const { ino } = await stat(join(one.directory, 'envd'));
    const started = performance.now();
    expect(await buildEnvdBundle(parent)).toEqual(one);
    expect(performance.now() - started).toBeLessThan(2000);
    expect((await stat(join(one.directory, 'envd'))).ino).toBe(ino);
  },
);

test('the folder contains envd, the loader and libraries that nobody can write', { timeout: 120_000 }, async () => {
  const { directory, command, mountPoint } = await buildEnvdBundle(parent);
  expect(command).toEqual([
    expect.stringMatching(/^\/\.soulbox\/ld-linux/) as string,
    '--library-path',
    mountPoint,
    '/.soulbox/envd',
  ]);
  const names = await readdir(directory, { recursive: true });
  expect(names).toEqual(expect.arrayContaining(['envd', 'reseed/node.cjs', 'reseed/python/sitecustomize.py']));
  for (const name of names) {
    const { mode, uid } = await stat(join(directory, name));
    expect([name, mode & 0o022, uid]).toEqual([name, 0, 0]);
  }
});

test('old folders are removed, except those in use, builds in progress and foreign folders', async () => {
  const folder = join(parent, 'several');
  const [old, used] = ['a', 'b'].map((letter) => letter.repeat(24));
  for (const name of [old, used, '.building-x', 'notes']) await mkdir(join(folder, name ?? ''), { recursive: true });
  expect(await removeOldBundles(folder, new Set([join(folder, used ?? '')]))).toBe(1);
  expect((await readdir(folder)).toSorted()).toEqual(['.building-x', used, 'notes']);
});
