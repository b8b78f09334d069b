import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runInProcess } from '../../testing/run-in-process.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'cli-storage-'))));
afterEach(async () => await removeTree(folder));

test('a new key is 64 digits, and another one each time', async () => {
  const [one, other] = [await runInProcess(['storage', 'key']), await runInProcess(['storage', 'key'])];
  expect(one.stdout).toMatch(/^[0-9a-f]{64}\n$/);
  expect(other.stdout).not.toBe(one.stdout);
});

test('the status needs a server', async () => {
  const { code, stderr } = await runInProcess(['storage', 'status', '--data-dir', folder]);
  expect([code, stderr]).toEqual([1, expect.stringContaining('No server is running')]);
});

test.each([
  [{}, /Give --storage URL/],
  [{ SOULBOX_STORAGE: 'file:///tmp/x' }, /Give --key-file FILE/],
])('a recovery with the variables %j says what is missing', async (variables, message) => {
  const { code, stderr } = await runInProcess(['storage', 'recover', '--data-dir', folder], variables);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});

test('a recovery from an empty store, or with a key that others may read, leaves no data folder', async () => {
  const [key, target] = [join(folder, 'key'), join(folder, 'data')];
  await writeFile(key, (await runInProcess(['storage', 'key'])).stdout, { mode: 0o600 });
  const args = ['storage', 'recover', '--storage', `file://${folder}/store`, '--data-dir', target, '--key-file'];
  const empty = await runInProcess([...args, key]);
  expect([empty.code, empty.stderr]).toEqual([1, expect.stringContaining('No server has uploaded anything')]);
  expect(await readdir(target)).toEqual([]);
  await writeFile(join(folder, 'open'), 'x', { mode: 0o644 });
  const open = await runInProcess([...args, join(folder, 'open')]);
  expect([open.code, open.stderr]).toEqual([1, expect.stringMatching(/storage key/)]);
});
