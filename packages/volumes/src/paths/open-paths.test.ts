import { expect, test } from 'vitest';
import { makeVolume } from '../testing/fresh-volume.ts';
import { createRequests } from '../testing/requests.ts';
import { openPaths } from './open-paths.ts';
import type { VolumePaths } from './open-paths.ts';

const owner = { uid: 7, gid: 8, mode: 0o640 };
async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text));
}
async function text(paths: VolumePaths, path: string, range?: { start?: number; end?: number }): Promise<string> {
  const found: Buffer[] = [];
  using result = await paths.read(path, range);
  for await (const piece of result.stream) found.push(piece);
  return Buffer.concat(found).toString();
}

test('a file is written with its folders, described, read in ranges, renamed and removed', async () => {
  await using fresh = await makeVolume();
  const paths = openPaths(fresh.volume);
  const entry = await paths.write('/a/b/c.txt', pieces('hello ', 'world'), { ...owner, parents: true });
  expect(entry).toMatchObject({ path: '/a/b/c.txt', name: 'c.txt', type: 'file', sizeBytes: 11, ...owner });
  expect(await text(paths, 'a/b/c.txt')).toBe('hello world');
  expect(await text(paths, '/a/./b//c.txt', { start: 6 })).toBe('world');
  expect(await text(paths, '/a/b/c.txt', { start: 3, end: 8 })).toBe('lo wo');
  expect(await text(paths, '/a/b/c.txt', { start: 50, end: 60 })).toBe('');
  await paths.rename('/a/b/c.txt', '/a/d', { replace: false });
  await expect(paths.stat('/a/b/c.txt')).rejects.toMatchObject({ reason: 'file_not_found' });
  expect((await paths.setAttributes('/a/d', { mode: 0o600, uid: 1 })).mode).toBe(0o600);
  await expect(paths.remove('/a', { recursive: false })).rejects.toMatchObject({ reason: 'file_exists' });
  await paths.remove('/a', { recursive: true });
  expect(await paths.list('/', { depth: 9, limit: 100 })).toEqual({ entries: [], isCut: false });
});

test('a list goes as deep as it is told and says when it was cut', async () => {
  await using fresh = await makeVolume();
  const paths = openPaths(fresh.volume);
  for (const path of ['/a/1', '/a/2', '/b/c/3']) await paths.write(path, pieces('x'), { ...owner, parents: true });
  const listed = async (depth: number, limit: number): Promise<string[]> =>
    (await paths.list('/', { depth, limit })).entries.map(({ path }) => path);
  expect(await listed(1, 100)).toEqual(['/a', '/b']);
  expect(await listed(3, 100)).toEqual(['/a', '/b', '/a/1', '/a/2', '/b/c', '/b/c/3']);
  expect(await paths.list('/', { depth: 3, limit: 3 })).toMatchObject({ isCut: true });
  expect(await paths.list('/', { depth: 3, limit: 6 })).toMatchObject({ isCut: false });
  await expect(paths.list('/a/1', { depth: 1, limit: 1 })).rejects.toMatchObject({ reason: 'not_a_directory' });
});

test('a link is followed inside the volume, and not to its outside', async () => {
  await using fresh = await makeVolume();
  const paths = openPaths(fresh.volume);
  const request = createRequests();
  await paths.write('/real/file', pieces('inside'), { ...owner, parents: true });
  const link = (name: string, target: string): unknown =>
    fresh.fs.symlink(1, Buffer.from(name), Buffer.from(target), request());
  await link('good', 'real/../real/file');
  await link('folder', './real');
  await link('up', '../etc/passwd');
  await link('absolute', '/etc/passwd');
  await link('loop', 'loop');
  expect(await text(paths, '/good')).toBe('inside');
  expect(await text(paths, '/folder/file')).toBe('inside');
  expect(await paths.stat('/absolute')).toMatchObject({ type: 'link', linkTarget: '/etc/passwd' });
  for (const path of ['/up', '/absolute', '/../x', '/real/../../x'])
    await expect(paths.read(path)).rejects.toMatchObject({ reason: 'bad_path' });
  await expect(paths.read('/loop')).rejects.toMatchObject({ reason: 'link_loop' });
  await expect(paths.write('/absolute', pieces('x'), owner)).rejects.toMatchObject({ reason: 'bad_path' });
  // A removal takes the link, never what it leads to.
  await paths.remove('/folder', { recursive: true });
  expect(await text(paths, '/real/file')).toBe('inside');
});

test('a write replaces a file as a whole, or not at all', async () => {
  await using fresh = await makeVolume();
  const paths = openPaths(fresh.volume);
  await paths.write('/f', pieces('old'), owner);
  async function* broken(): AsyncGenerator<Buffer> {
    yield* pieces('a part of the new');
    throw new Error('the client has gone');
  }
  await expect(paths.write('/f', broken(), owner)).rejects.toThrow('the client has gone');
  expect(await text(paths, '/f')).toBe('old');
  await expect(paths.write('/f', pieces('x'), { ...owner, createOnly: true })).rejects.toMatchObject({
    reason: 'file_exists',
  });
  using before = await paths.read('/f');
  await paths.write('/f', pieces('new'), { uid: 0, gid: 0, mode: 0o777 });
  expect(await text(paths, '/f')).toBe('new');
  expect(await paths.stat('/f')).toMatchObject(owner);
  // Who began to read the old file reads it to its end.
  const found: Buffer[] = [];
  for await (const piece of before.stream) found.push(piece);
  expect(Buffer.concat(found).toString()).toBe('old');
  await expect.poll(() => fresh.volume.metadata.facts().usage.inodes).toBe(2);
});

test.each([
  ['a zero byte', '/a\0b', 'bad_path'],
  ['a name of 256 bytes', `/${'x'.repeat(256)}`, 'bad_path'],
  ['a path of 5000 bytes', '/x'.repeat(2500), 'bad_path'],
  ['a missing folder', '/no/file', 'file_not_found'],
  ['the root', '/', 'bad_path'],
  ['no name', '', 'bad_path'],
])('a write to %s is refused', async (_what, path, reason) => {
  await using fresh = await makeVolume();
  await expect(openPaths(fresh.volume).write(path, pieces('x'), owner)).rejects.toMatchObject({ reason });
});
