import { mkdtemp, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileCacheFolder, readInstallation } from './installation.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-installation-'));
});

afterAll(async () => {
  await removeTree(folder);
});

test('these tests run from a clone with the version of the workspace', () => {
  expect(readInstallation()).toEqual({
    form: 'clone',
    root: join(import.meta.dirname, '../../..'),
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
  });
});

test('package.json names the form of an installed package', async () => {
  const manifest = { name: 'soulbox', version: '7.8.9', soulbox: { installation: 'debian' } };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  expect(readInstallation(folder)).toEqual({ form: 'debian', root: folder, version: '7.8.9' });
});

test('an unknown form is rejected', async () => {
  const manifest = { name: 'soulbox', version: '7.8.9', soulbox: { installation: 'tape' } };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  expect(() => readInstallation(folder)).toThrow('installation');
});

test('compiled code is cached in the clone, for root, or for the user who runs an installed package', () => {
  const [clone, npm] = [{ form: 'clone', root: '/src' } as const, { form: 'npm', root: '/usr/lib/x' } as const];
  expect(compileCacheFolder(clone, false)).toBe('/src/node_modules/.cache/node-compile');
  expect(compileCacheFolder(npm, true)).toBe('/var/cache/soulbox/node-compile');
  expect(compileCacheFolder(npm, false)).toBe(`${homedir()}/.cache/soulbox/node-compile`);
});
