import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readClientSecret } from './client-secret.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-secret-'));
  file = join(folder, 'secret');
});
afterEach(async () => await rm(folder, { recursive: true }));

test('the secret is the content of the file without the end of the line, and prints as nothing', async () => {
  await writeFile(file, 'a secret\n', { mode: 0o600 });
  const secret = await readClientSecret(file);
  expect([secret?.reveal(), String(secret)]).toEqual(['a secret', '[redacted]']);
  expect(await readClientSecret('')).toBeUndefined();
});

test.each([
  ['that others can read', 'x', 0o640, 'chmod 600'],
  ['that is empty', ' \n', 0o600, 'is empty'],
  ['that is too large', 'x'.repeat(5000), 0o600, 'at most 4096 bytes'],
])('a file %s is refused', async (_what, text, mode, why) => {
  await writeFile(file, text);
  await chmod(file, mode);
  await expect(readClientSecret(file)).rejects.toThrow(why);
});

test('a missing file and a folder are refused', async () => {
  await expect(readClientSecret(file)).rejects.toThrow('cannot be read: ENOENT');
  await expect(readClientSecret(folder)).rejects.toThrow('must be a file');
});
