import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkVolume, digestBlocks } from '../check/check-volume.ts';
import { openPaths } from '../paths/open-paths.ts';
import type { VolumePaths } from '../paths/open-paths.ts';
import { makeVolume, noQuota } from '../testing/fresh-volume.ts';
import { metadataPath } from '../volume/places.ts';
import { openVolume } from '../volume/open.ts';
import type { Volume } from '../volume/open.ts';
import { copyVolume } from './copy-volume.ts';
import { createSweeper, graceMs } from './sweep.ts';

const owner = { uid: 0, gid: 0, mode: 0o644 };
const big = 300_000;

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(content);
}
const write = (paths: VolumePaths, path: string, content: Buffer): Promise<unknown> =>
  paths.write(path, once(content), owner);
async function read(paths: VolumePaths, path: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  using result = await paths.read(path);
  for await (const piece of result.stream) pieces.push(piece);
  return Buffer.concat(pieces);
}
const countBlocks = async ({ blocks }: Volume): Promise<number> => {
  let count = 0;
  for await (const _ of blocks.list()) count += 1;
  return count;
};

test('a clone and its source share blocks, and neither sees what the other writes', async () => {
  await using source = await makeVolume();
  const [paths, original] = [openPaths(source.volume), Buffer.alloc(big, 1)];
  await write(paths, '/large', original);
  await write(paths, '/small', Buffer.from('one'));
  const { commit } = await copyVolume(source.volume, { data: source.data, id: 'c', isReadOnly: false, quota: noQuota });
  expect(commit).toBe(source.volume.metadata.facts().commit);
  await using clone = await openVolume(source.data, 'c');
  expect(await countBlocks(clone)).toBe(1);
  const cloned = openPaths(clone);

  const changed = Buffer.from(original);
  changed.fill(2, 1000, 2000);
  const inode = await source.volume.metadata.lookup(1, Buffer.from('large'));
  await source.volume.write(inode?.ino ?? 0, Buffer.alloc(1000, 2), { offset: 1000 });
  expect((await read(paths, '/large')).equals(changed)).toBe(true);
  expect((await read(cloned, '/large')).equals(original)).toBe(true);
  await clone.setAttributes(inode?.ino ?? 0, { size: 200_000 });
  await clone.write(inode?.ino ?? 0, Buffer.from('end'), { offset: 299_997 });
  expect((await read(paths, '/large')).equals(changed)).toBe(true);
  const cut = Buffer.concat([original.subarray(0, 200_000), Buffer.alloc(99_997), Buffer.from('end')]);
  expect((await read(cloned, '/large')).equals(cut)).toBe(true);
  await write(cloned, '/small', Buffer.from('two'));
  expect(String(await read(paths, '/small'))).toBe('one');
});

test('a snapshot is as the volume was at one moment while writes go on, and refuses changes', async () => {
  await using source = await makeVolume();
  const { ino } = await source.volume.create(1, Buffer.from('log'), { ...owner, mode: 0o100644 });
  let isStopped = false;
  let written = 0;
  const writer = (async () => {
    while (!isStopped) {
      // Two places in two blocks, always equal in a state of one moment.
      await source.volume.write(ino, Buffer.alloc(20_000, written % 256), { offset: 0 });
      await source.volume.write(ino, Buffer.alloc(20_000, written % 256), { offset: 5_000_000 });
      written += 1;
    }
  })();
  for (const id of ['s1', 's2', 's3']) {
    await copyVolume(source.volume, { data: source.data, id, isReadOnly: true, quota: noQuota });
    await using snapshot = await openVolume(source.data, id);
    const [first, second] = [await snapshot.read(ino, 0, 20_000), await snapshot.read(ino, 5_000_000, 20_000)];
    const [one, other] = [first[0] ?? 0, second[0] ?? 0];
    expect([0, 1, -255]).toContain(one - other);
    await digestBlocks(snapshot);
    expect(await checkVolume(snapshot)).toMatchObject({ compared: 2, faults: [] });
    await expect(snapshot.write(ino, Buffer.from('x'), { offset: 0 })).rejects.toMatchObject({ code: 'EROFS' });
    await expect(snapshot.unlink(1, Buffer.from('log'))).rejects.toMatchObject({ code: 'EROFS' });
  }
  isStopped = true;
  await writer;
  expect(written).toBeGreaterThan(3);
  for (const id of ['s1', 's2', 's3']) {
    await using snapshot = await openVolume(source.data, id);
    // The digests of before: the source has written to no block of theirs.
    expect(await checkVolume(snapshot)).toMatchObject({ compared: 2, faults: [] });
  }
});

test('a sweep deletes blocks that no volume names, after the grace, and not those of a copy', async () => {
  await using source = await makeVolume();
  const paths = openPaths(source.volume);
  for (const name of ['kept', 'shared', 'dropped']) await write(paths, `/${name}`, Buffer.alloc(big, 7));
  await copyVolume(source.volume, { data: source.data, id: 'c', isReadOnly: true, quota: noQuota });
  await paths.remove('/shared', { recursive: false });
  await paths.remove('/dropped', { recursive: false });
  let now = 0;
  const sweeper = createSweeper({ data: source.data, blocks: source.volume.blocks, now: () => now });
  expect(await sweeper.sweep()).toMatchObject({ deleted: 0, waiting: 0 });
  await rm(join(source.data, 'c'), { recursive: true });
  expect(await sweeper.sweep()).toMatchObject({ deleted: 0, waiting: 2 });
  now += graceMs - 1;
  expect(await sweeper.sweep()).toMatchObject({ deleted: 0, waiting: 2 });
  now += 1;
  expect(await sweeper.sweep()).toEqual({ deleted: 2, bytes: 2 * big, waiting: 0 });
  expect((await read(paths, '/kept')).equals(Buffer.alloc(big, 7))).toBe(true);
});

test('a sweep deletes nothing if the metadata of a volume cannot be read', async () => {
  await using source = await makeVolume();
  const sweeper = createSweeper({ data: source.data, blocks: source.volume.blocks });
  await mkdir(join(source.data, 'broken'));
  await writeFile(metadataPath(source.data, 'broken'), 'this is no database');
  await expect(sweeper.sweep()).rejects.toThrow(/not a database/);
});

test('blocks of deleted files are deleted with the next sync, and a copy keeps its own', async () => {
  await using source = await makeVolume();
  const paths = openPaths(source.volume);
  await write(paths, '/a', Buffer.alloc(big, 1));
  await paths.remove('/a', { recursive: false });
  await expect.poll(() => source.volume.metadata.facts().usage.bytes).toBe(0);
  await source.volume.sync();
  expect(await countBlocks(source.volume)).toBe(0);
});

test('a check finds blocks that are missing, cut or changed', async () => {
  await using source = await makeVolume();
  const { volume, data } = source;
  const paths = openPaths(volume);
  const files: string[] = [];
  for (const name of ['missing', 'cut', 'changed', 'sound']) {
    await write(paths, `/${name}`, Buffer.alloc(big, 1));
    const inode = await volume.metadata.lookup(1, Buffer.from(name));
    const [block] = await volume.metadata.blocks(inode?.ino ?? 0, 0, 0);
    const content = String(block?.content);
    files.push(join(data, 'blocks', content.slice(0, 2), content));
  }
  await digestBlocks(volume);
  expect(await checkVolume(volume)).toMatchObject({ blocks: 4, compared: 4, faults: [] });
  const [missing = '', cut = '', changed = ''] = files;
  await rm(missing);
  await truncate(cut, big - 1);
  await writeFile(changed, Buffer.alloc(big, 2));
  const { faults } = await checkVolume(volume);
  expect(faults.map(({ fault }) => fault)).toEqual(['missing', 'missing', 'damaged']);
  await volume[Symbol.asyncDispose]();
  // The next process has no descriptor of what was deleted.
  await using next = await openVolume(data, 'v');
  for (const path of ['/missing', '/cut'])
    await expect(read(openPaths(next), path)).rejects.toMatchObject({ reason: 'internal', cause: { code: 'EIO' } });
});

test('a write to a block with a digest makes the digest void', async () => {
  await using source = await makeVolume();
  const { volume } = source;
  const { ino } = await volume.create(1, Buffer.from('f'), { ...owner, mode: 0o100644 });
  await volume.write(ino, Buffer.alloc(big, 1), { offset: 0 });
  await digestBlocks(volume);
  await volume.write(ino, Buffer.from('x'), { offset: 5 });
  expect(await checkVolume(volume)).toMatchObject({ compared: 0, faults: [] });
  await digestBlocks(volume);
  await volume.setAttributes(ino, { size: 100_000 });
  expect(await checkVolume(volume)).toMatchObject({ faults: [] });
});
