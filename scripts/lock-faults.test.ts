import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findLockFaults } from './lock-faults.ts';
import type { PackageLock } from './lock-faults.ts';

const integrity = `sha512-${'A'.repeat(86)}==`;
const resolved = 'https://registry.example/a/-/a-1.0.0.tgz';
const faultsOf = (entry: PackageLock['packages'][string], path = 'node_modules/a'): string[] =>
  findLockFaults({ packages: { [path]: entry, 'node_modules/b': { resolved, integrity } } });

test('the lock file of this repository has no faults', () => {
  const text = readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8');
  const lock = JSON.parse(text) as PackageLock;
  expect(Object.keys(lock.packages).length).toBeGreaterThan(100);
  expect(findLockFaults(lock)).toEqual([]);
});

test.each([
  ['no digest', { resolved }, /no SHA-512/],
  ['a weak digest', { resolved, integrity: 'sha1-AAAA' }, /no SHA-512/],
  ['plain http', { resolved: resolved.replace('https', 'http'), integrity }, /not from a registry/],
  ['a git repository', { resolved: 'git+ssh://git@host/a.git#1', integrity }, /not from a registry/],
  ['a file', { resolved: 'file:../a.tgz', integrity }, /not from a registry/],
  ['another registry', { resolved: 'https://other.example/a.tgz', integrity }, /2 registries/],
  ['a new install script', { resolved, integrity, hasInstallScript: true }, /runs a program/],
])('%s is a fault', (_what, entry, fault) => {
  expect(faultsOf(entry).join()).toMatch(fault);
});

test('an install script is allowed for the package that was read, wherever it is, and not for one that is named like it', () => {
  const entry = { resolved, integrity, hasInstallScript: true };
  expect(faultsOf(entry, 'node_modules/x/node_modules/koffi')).toEqual([]);
  expect(faultsOf(entry, 'node_modules/@evil/koffi')).toHaveLength(1);
});

test('our own packages need no digest', () => {
  expect(faultsOf({}, 'packages/base')).toEqual([]);
  expect(faultsOf({ resolved: 'packages/base', link: true }, 'node_modules/@soulbox/base')).toEqual([]);
});
