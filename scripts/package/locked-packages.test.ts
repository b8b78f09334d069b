import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLockedPackages } from './locked-packages.ts';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'soulbox-lock-'));
  const packages = {
    '': {},
    'apps/one': { dependencies: { twice: '^1.0.0' } },
    'apps/one/node_modules/twice': { version: '1.0.0' },
    'node_modules/twice': { version: '2.0.0' },
    'node_modules/a': { version: '1.2.3', dev: true, dependencies: { b: '*' }, optionalDependencies: { gone: '*' } },
    'node_modules/a/node_modules/b': { version: '9.0.0', peerDependencies: { c: '*' } },
    'node_modules/b': { version: '8.0.0' },
    'node_modules/c': { version: '3.0.0' },
    'node_modules/unused': { version: '1.0.0' },
  };
  await writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages }));
});

afterAll(async () => {
  await removeTree(root);
});

test('a package includes its dependencies, as Node would find them, and nothing else', () => {
  expect([...readLockedPackages(root, ['a'])].map(([place, { version }]) => [place, version])).toEqual([
    ['node_modules/a', '1.2.3'],
    ['node_modules/a/node_modules/b', '9.0.0'],
    ['node_modules/c', '3.0.0'],
  ]);
});

test('packages marked for development are not marked in the result', () => {
  expect(readLockedPackages(root, ['a']).get('node_modules/a')).not.toHaveProperty('dev');
});

test('a package that is not locked, or has two versions, is refused', () => {
  expect(() => readLockedPackages(root, ['gone'])).toThrow('has no gone');
  expect(() => readLockedPackages(root, ['twice'])).toThrow('two versions, the second in apps/one/node_modules/twice');
});
