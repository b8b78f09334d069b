import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createStorageKey, keyOfRole, readStorageKey } from './storage-key.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'storage-key-'));
  path = join(folder, 'key');
});
afterEach(async () => await removeTree(folder));

test('a new key is read, with or without its line feed, and is another one each time', async () => {
  const text = createStorageKey();
  await writeFile(path, text, { mode: 0o600 });
  const key = await readStorageKey(path);
  await writeFile(path, text.trim());
  expect((await readStorageKey(path)).equals(key)).toBe(true);
  expect([key.length, createStorageKey() === text]).toEqual([32, false]);
});

test('the keys of the parts have nothing in common', () => {
  const keys = (['runner', 'control', 'owner'] as const).map((role) =>
    keyOfRole(Buffer.alloc(32), role).toString('hex'),
  );
  expect(new Set(keys).size).toBe(3);
});

test.each([
  ['', /64 hexadecimal digits/],
  ['x'.repeat(64), /64 hexadecimal digits/],
  ['a'.repeat(63), /64 hexadecimal digits/],
  ['a'.repeat(66), /64 hexadecimal digits/],
])('the content %j is refused', async (content, message) => {
  await writeFile(path, content, { mode: 0o600 });
  await expect(readStorageKey(path)).rejects.toThrow(message);
});

test('a file that is missing, or that others may read, is refused', async () => {
  await expect(readStorageKey(path)).rejects.toMatchObject({ reason: 'config_invalid' });
  await writeFile(path, createStorageKey());
  await chmod(path, 0o640);
  await expect(readStorageKey(path)).rejects.toThrow(/0600/);
});
