import { FileNotFoundError, FileType, InvalidArgumentError, SandboxError } from 'e2b';
import { beforeAll, expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';

const sandbox = sharedSandbox();
const base = '/home/user/tree';

beforeAll(async () => {
  await sandbox().commands.run(
    [
      `mkdir -p ${base}/a/b/c ${base}/empty`,
      `echo 1 > ${base}/one.txt`,
      `echo 22 > ${base}/a/two.txt`,
      `echo 3 > ${base}/a/b/c/three.txt`,
      `ln -s one.txt ${base}/link`,
      `ln -s nowhere ${base}/broken`,
      `ln -s loop ${base}/loop`,
      `chmod 640 ${base}/one.txt`,
    ].join(' && '),
  );
});

test('list shows one level, sorted, with types', async () => {
  const entries = await sandbox().files.list(base);
  expect(entries.map(({ name }) => name)).toEqual(['a', 'broken', 'empty', 'link', 'loop', 'one.txt']);
  expect(entries.find(({ name }) => name === 'a')).toMatchObject({ type: FileType.DIR, path: `${base}/a` });
  expect(entries.find(({ name }) => name === 'one.txt')).toMatchObject({ type: FileType.FILE, size: 2 });
});

test.each([
  [2, ['a', 'a/b', 'a/two.txt', 'broken', 'empty', 'link', 'loop', 'one.txt']],
  [9, ['a', 'a/b', 'a/b/c', 'a/b/c/three.txt', 'a/two.txt', 'broken', 'empty', 'link', 'loop', 'one.txt']],
])('list with depth %i returns all entries down to it', async (depth, expected) => {
  const entries = await sandbox().files.list(base, { depth });
  expect(entries.map(({ path }) => path.slice(base.length + 1))).toEqual(expected);
});

test('list of an empty folder is empty', async () => {
  expect(await sandbox().files.list(`${base}/empty`)).toEqual([]);
});

test('list of something that is not a folder fails with the right error', async () => {
  await expect(sandbox().files.list(`${base}/missing`)).rejects.toThrow(FileNotFoundError);
  await expect(sandbox().files.list(`${base}/one.txt`)).rejects.toThrow(InvalidArgumentError);
  await expect(sandbox().files.list(`${base}/loop`)).rejects.toThrow(SandboxError);
  await expect(sandbox().files.list(base, { depth: 0 })).rejects.toThrow(InvalidArgumentError);
});

test('getInfo returns all facts about a file', async () => {
  const info = await sandbox().files.getInfo(`${base}/one.txt`);
  expect(info).toMatchObject({
    name: 'one.txt',
    path: `${base}/one.txt`,
    type: FileType.FILE,
    size: 2,
    mode: 0o640,
    permissions: '-rw-r-----',
    owner: 'user',
    group: 'user',
  });
  expect(Math.abs((info.modifiedTime?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
});

test('getInfo of a link returns its target', async () => {
  expect(await sandbox().files.getInfo(`${base}/link`)).toMatchObject({ symlinkTarget: `${base}/one.txt` });
  expect((await sandbox().files.getInfo(`${base}/broken`)).symlinkTarget).toBe(`${base}/broken`);
  expect((await sandbox().files.getInfo(base)).permissions).toBe('drwxr-xr-x');
  expect((await sandbox().files.getInfo('/tmp')).permissions).toBe('dtrwxrwxrwx');
});

test('getInfo of a missing file fails, and exists returns false', async () => {
  await expect(sandbox().files.getInfo(`${base}/nothing`)).rejects.toThrow(FileNotFoundError);
  expect(await sandbox().files.exists(`${base}/nothing`)).toBe(false);
  expect(await sandbox().files.exists(`${base}/one.txt`)).toBe(true);
  expect(await sandbox().files.exists(base)).toBe(true);
});

test('makeDir creates parents, and only once', async () => {
  expect(await sandbox().files.makeDir(`${base}/new/with/parents`)).toBe(true);
  expect(await sandbox().files.makeDir(`${base}/new/with/parents`)).toBe(false);
  expect(await sandbox().files.getInfo(`${base}/new/with`)).toMatchObject({ owner: 'user', type: FileType.DIR });
  await expect(sandbox().files.makeDir(`${base}/one.txt`)).rejects.toThrow(InvalidArgumentError);
});

test('rename moves, replaces files and creates parents', async () => {
  await sandbox().files.write(`${base}/from`, 'moved');
  const entry = await sandbox().files.rename(`${base}/from`, `${base}/other/place/to`);
  expect(entry).toMatchObject({ name: 'to', path: `${base}/other/place/to` });
  expect(await sandbox().files.exists(`${base}/from`)).toBe(false);
  await sandbox().files.write(`${base}/second`, 'replaces');
  await sandbox().files.rename(`${base}/second`, `${base}/other/place/to`);
  expect(await sandbox().files.read(`${base}/other/place/to`)).toBe('replaces');
  await expect(sandbox().files.rename(`${base}/nothing`, `${base}/x`)).rejects.toThrow(FileNotFoundError);
});

test('remove deletes whole trees and ignores missing files', async () => {
  await sandbox().commands.run(`mkdir -p ${base}/dead/a/b && touch ${base}/dead/a/b/c && ln -s /etc ${base}/dead/etc`);
  await sandbox().files.remove(`${base}/dead`);
  await sandbox().files.remove(`${base}/dead`);
  expect(await sandbox().files.exists(`${base}/dead`)).toBe(false);
  expect(await sandbox().files.exists('/etc/passwd')).toBe(true);
});
