import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { openHostKey } from './host-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'soulbox-host-key-'));
afterAll(async () => await removeTree(folder));

test('the key of the server is made once, for root alone, and stays', async () => {
  const file = join(folder, 'host-key');
  const first = await openHostKey(file);
  expect(first.publicKey).toMatch(/^ssh-ed25519 [A-Za-z0-9+/]{68}$/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'utf8')).toBe(first.privateKey);
  expect(await openHostKey(file)).toEqual(first);
});

test('a damaged key is reported and not replaced: clients would see another server', async () => {
  const file = join(folder, 'damaged');
  writeFileSync(file, 'x');
  await expect(openHostKey(file)).rejects.toMatchObject({ reason: 'config_invalid' });
  expect(readFileSync(file, 'utf8')).toBe('x');
});
