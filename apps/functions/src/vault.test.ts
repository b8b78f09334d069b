import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '@soulbox/base';
import { openVault } from './vault.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-vault-'));
});
afterEach(() => rm(folder, { recursive: true }));

const file = (): string => join(folder, 'secrets', 'key');

test('a sealed secret is opened by a later vault with the same key, and is not readable before', async () => {
  const sealed = (await openVault(file())).seal(new Secret('geheim ✓'), 'place');
  expect(sealed + Buffer.from(sealed, 'base64').toString('latin1')).not.toContain('geheim');
  expect((await openVault(file())).open(sealed, 'place').reveal()).toBe('geheim ✓');
  expect((await stat(file())).mode & 0o777).toBe(0o600);
});

test('the same secret is sealed differently each time', async () => {
  const vault = await openVault(file());
  expect(vault.seal(new Secret('x'), 'p')).not.toBe(vault.seal(new Secret('x'), 'p'));
});

test('text that was moved, altered, cut or sealed by another key does not open', async () => {
  const vault = await openVault(file());
  const sealed = vault.seal(new Secret('value'), 'function:a:TOKEN');
  const altered = Buffer.from(sealed, 'base64');
  altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
  const other = await openVault(join(folder, 'other'));
  const refusal = expect.objectContaining({ reason: 'state_damaged' }) as Error;
  expect(() => vault.open(sealed, 'function:b:TOKEN')).toThrow(refusal);
  expect(() => vault.open(altered.toString('base64'), 'function:a:TOKEN')).toThrow(refusal);
  expect(() => vault.open(sealed.slice(0, 20), 'function:a:TOKEN')).toThrow(refusal);
  expect(() => vault.open('', 'function:a:TOKEN')).toThrow(refusal);
  expect(() => other.open(sealed, 'function:a:TOKEN')).toThrow(refusal);
});

test('a key file without a valid key stops the start and is left unchanged', async () => {
  await openVault(file());
  await writeFile(file(), 'nonsense');
  await expect(openVault(file())).rejects.toThrow(/does not contain a key/);
  expect(await readFile(file(), 'utf8')).toBe('nonsense');
});
