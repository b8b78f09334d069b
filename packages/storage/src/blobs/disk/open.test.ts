import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { BlobStream } from '../blobs.ts';
import { describeBlobs } from '../../conformance/blobs.ts';
import { findForeignNames, openDiskBlobs } from './open.ts';

describeBlobs('files', (directory) => openDiskBlobs({ directory }));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-blobs-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a file of the same file system is renamed, not copied', async () => {
  const blobs = await openDiskBlobs({ directory: join(folder, 'blobs') });
  await writeFile(join(folder, 'file'), 'content');
  const { ino } = await stat(join(folder, 'file'));
  await blobs.putFile('a/b', join(folder, 'file'));
  expect((await stat(join(folder, 'blobs', 'a~b'))).ino).toBe(ino);
});

test('leftovers of a blob that a crash interrupted are removed when the folder is opened', async () => {
  const blobs = await openDiskBlobs({ directory: folder });
  await blobs.put('a', Readable.from([Buffer.from('x')]));
  await writeFile(join(folder, '.new-abc'), 'half');
  expect(await blobs.list('')).toHaveLength(1);
  await openDiskBlobs({ directory: folder });
  expect(await readdir(folder)).toEqual(['a']);
});

test('a full disk is reported as full, and a file of another file system is copied once there is space', async () => {
  const small = join(folder, 'small');
  await run('mkdir', [small]);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'soulbox-test', small]);
  try {
    const blobs = await openDiskBlobs({ directory: small });
    await writeFile(join(folder, 'large'), Buffer.alloc(2_000_000));
    await writeFile(join(folder, 'fits'), 'fits');
    await expect(blobs.putFile('a', join(folder, 'large'))).rejects.toMatchObject({ reason: 'disk_full' });
    expect((await stat(join(folder, 'large'))).size).toBe(2_000_000);
    expect(await readdir(small)).toEqual([]);
    await blobs.putFile('a', join(folder, 'fits'));
    expect(await text((await blobs.read('a')) as BlobStream)).toBe('fits');
    await expect(stat(join(folder, 'fits'))).rejects.toMatchObject({ code: 'ENOENT' });
  } finally {
    await run('umount', ['--', small]);
  }
});

test('names that cannot be those of blobs are left out of lists and copies, and are found', async () => {
  const blobs = await openDiskBlobs({ directory: folder });
  await blobs.put('t/a', Readable.from([Buffer.from('x')]));
  for (const name of ['.nfs01', 'a b', 'x~']) await writeFile(join(folder, name), 'foreign');
  for (const name of ['folder', 'lost+found']) await mkdir(join(folder, name));
  expect(await blobs.list('')).toEqual([{ key: 't/a', sizeBytes: 1 }]);
  expect(await blobs.copyInto(join(folder, 'folder'), '')).toEqual(['t/a']);
  expect(await findForeignNames(folder)).toEqual(['.nfs01', 'a b', 'folder', 'lost+found', 'x~']);
});
