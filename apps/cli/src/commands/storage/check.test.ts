import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runInProcess } from '../../testing/run-in-process.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'cli-storage-'))));
afterEach(async () => await removeTree(folder));

test('a folder is checked, and nothing is left in it', async () => {
  const { code, stdout } = await runInProcess(['storage', 'check', '--json'], {
    SOULBOX_STORAGE: `file://${folder}/s`,
  });
  const { ok, promises } = JSON.parse(stdout) as { ok: boolean; promises: { id: string; outcome: string }[] };
  expect(code).toBe(0);
  expect(ok).toBe(true);
  expect(promises.filter(({ outcome }) => outcome !== 'holds')).toMatchObject([
    { id: 'sign-get', outcome: 'lacks' },
    { id: 'sign-put', outcome: 'lacks' },
  ]);
  expect((await readdir(join(folder, 's'))).filter((name) => !name.startsWith('.'))).toEqual([]);
});

test.each([
  ['file/store', 'cannot be made (ENOTDIR)'],
  ['file', 'is not a folder'],
  ['typing-error/store', 'cannot be made (ENOENT)'],
])('the folder %s is refused with what is wrong, and nothing is made', async (path, why) => {
  await writeFile(join(folder, 'file'), '');
  const { code, stderr } = await runInProcess(['storage', 'check', '--storage', `file://${folder}/${path}`]);
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining(`The folder ${folder}/${path} of the store ${why}. Make it`),
  ]);
  expect(await readdir(folder)).toEqual(['file']);
});

test.each([
  [['storage', 'check'], 2, /Give --storage URL/],
  [['storage', 'check', '--storage', 'ftp://host/x'], 1, /scheme must be one of/],
  [['storage', 'check', '--storage', 's3://AKIA:hidden@bucket'], 1, /must not contain credentials/],
  [['storage', 'check', '--storage', 's3://bucket?secret=hidden'], 1, /must not have the parameter "secret"/],
])('%j is refused with exit code %s, and no secret is shown', async (args, expected, message) => {
  const { code, stderr } = await runInProcess(args);
  expect(code).toBe(expected);
  expect(stderr).toMatch(message);
  expect(stderr).not.toContain('hidden');
});
