import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { makeRootfsDirectory, readRootfsFile, writeRootfsFile } from './files.ts';
import { resolveInRootfs } from './resolve.ts';

let rootfs: string;

beforeAll(async () => {
  rootfs = await mkdtemp(join(tmpdir(), 'rootfs-'));
  await mkdir(join(rootfs, 'etc'));
  await writeFile(join(rootfs, 'etc/passwd'), 'inside');
  await symlink('/etc', join(rootfs, 'absolute'));
  await symlink('../../../../etc', join(rootfs, 'relative'));
  await symlink('absolute', join(rootfs, 'chain'));
  await symlink('loop-b', join(rootfs, 'loop-a'));
  await symlink('loop-a', join(rootfs, 'loop-b'));
  await symlink('/proc/self/root/etc', join(rootfs, 'magic'));
});
afterAll(async () => {
  await removeTree(rootfs);
});

test.each([
  ['/etc/passwd', 'etc/passwd'],
  ['etc//./passwd', 'etc/passwd'],
  ['/../../etc/passwd', 'etc/passwd'],
  ['/absolute/passwd', 'etc/passwd'],
  ['/relative/passwd', 'etc/passwd'],
  ['/chain/passwd', 'etc/passwd'],
  ['/etc/new', 'etc/new'],
  ['/new', 'new'],
])('%s stays inside, as %s', async (path, inside) => {
  expect(await resolveInRootfs(rootfs, path)).toBe(join(rootfs, inside));
});

test('a link to /proc/self/root leads nowhere, because it is followed inside', async () => {
  expect(await resolveInRootfs(rootfs, '/magic/passwd')).toBeUndefined();
});

test('a missing folder gives undefined', async () => {
  expect(await resolveInRootfs(rootfs, '/none/file')).toBeUndefined();
});

test('a circle of links is an error', async () => {
  await expect(resolveInRootfs(rootfs, '/loop-a/x')).rejects.toMatchObject({ reason: 'link_loop' });
});

test('a file in place of a folder is an error', async () => {
  await expect(resolveInRootfs(rootfs, '/etc/passwd/x')).rejects.toMatchObject({ reason: 'not_a_directory' });
  await expect(makeRootfsDirectory(rootfs, '/etc/passwd', 0o755)).rejects.toMatchObject({ reason: 'not_a_directory' });
});

test('reading refuses everything but a small regular file', async () => {
  await expect(readRootfsFile(rootfs, '/etc')).rejects.toMatchObject({ reason: 'bad_path' });
  await writeFile(join(rootfs, 'big'), Buffer.alloc(1024 * 1024 + 1));
  await expect(readRootfsFile(rootfs, '/big')).rejects.toMatchObject({ reason: 'bad_path' });
  expect(await readRootfsFile(rootfs, '/nothing')).toBeUndefined();
});

test('writing replaces a file and refuses to replace a folder', async () => {
  await writeRootfsFile(rootfs, '/relative/passwd', 'changed', 0o640);
  expect(await readRootfsFile(rootfs, '/etc/passwd')).toBe('changed');
  await expect(writeRootfsFile(rootfs, '/etc', 'x', 0o644)).rejects.toMatchObject({ reason: 'bad_path' });
  await expect(writeRootfsFile(rootfs, '/none/x', 'x', 0o644)).rejects.toMatchObject({ reason: 'bad_path' });
});
