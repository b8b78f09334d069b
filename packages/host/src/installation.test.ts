import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readInstallation } from './installation.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-installation-'));
});

afterAll(async () => {
  await removeTree(folder);
});

test('what runs these tests is a clone, with the version of the workspace', () => {
  expect(readInstallation()).toEqual({
    form: 'clone',
    root: join(import.meta.dirname, '../../..'),
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
  });
});

test('a package says in its package.json which it is', async () => {
  const manifest = { name: 'soulbox', version: '7.8.9', soulbox: { installation: 'debian' } };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  expect(readInstallation(folder)).toEqual({ form: 'debian', root: folder, version: '7.8.9' });
});

test('a form that nobody knows is refused', async () => {
  const manifest = { name: 'soulbox', version: '7.8.9', soulbox: { installation: 'tape' } };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  expect(() => readInstallation(folder)).toThrow('installation');
});
