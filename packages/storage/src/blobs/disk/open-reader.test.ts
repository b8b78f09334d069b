import { chown, link, mkdir, mkdtemp, rename, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDiskBlobs } from './open.ts';
import { openBlobReader } from './open-reader.ts';

let folder: string;
let directory: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reader-'));
  directory = join(folder, 'blobs');
  await writeFile(join(folder, 'secret'), 'of the host');
});
afterEach(async () => await removeTree(folder));

const read = async (key: string): Promise<string | undefined> => {
  const stream = await openBlobReader({ directory }).read(key);
  return stream === undefined ? undefined : await text(stream);
};

test('a blob that a store has written is read, whole or in part', async () => {
  await using store = await openDiskBlobs({ directory });
  await store.put('team/digest', [Buffer.from('an archive')] as never);
  expect(await read('team/digest')).toBe('an archive');
  const reader = openBlobReader({ directory });
  const part = await reader.read('team/digest', { offset: 3, length: 4 });
  expect(part === undefined ? '' : await text(part)).toBe('arch');
  const none = await reader.read('team/digest', { offset: 3, length: 0 });
  expect(none === undefined ? '-' : await text(none)).toBe('');
});

test('a missing blob or folder is undefined', async () => {
  expect(await read('team/digest')).toBeUndefined();
  await mkdir(directory);
  expect(await read('team/digest')).toBeUndefined();
});

test('links are not followed, neither for a blob nor for the folder', async () => {
  await mkdir(directory);
  await symlink(join(folder, 'secret'), join(directory, 'team~digest'));
  await expect(read('team/digest')).rejects.toMatchObject({ reason: 'forbidden' });
  await rename(directory, join(folder, 'elsewhere'));
  await writeFile(join(folder, 'elsewhere', 'other'), 'x');
  await symlink(join(folder, 'elsewhere'), directory);
  await expect(read('other')).rejects.toMatchObject({ reason: 'forbidden' });
});

test.skipIf(process.getuid?.() !== 0)('a hard link to a file of another user is refused', async () => {
  await mkdir(directory);
  await chown(directory, 12345, 12345);
  await link(join(folder, 'secret'), join(directory, 'team~digest'));
  await expect(read('team/digest')).rejects.toMatchObject({ reason: 'forbidden' });
});

test('anything but a plain file is refused without waiting', async () => {
  await mkdir(join(directory, 'team~digest'), { recursive: true });
  await expect(read('team/digest')).rejects.toMatchObject({ reason: 'forbidden' });
});
