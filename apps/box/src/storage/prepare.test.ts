import { chown, lstat, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { createStorageKey } from '@soulbox/vault';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { prepareStorage } from './prepare.ts';
import type { PreparedStorage } from './prepare.ts';

const user = 70_001;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'storage-prepare-'));
  await writeFile(join(folder, 'key'), createStorageKey(), { mode: 0o600 });
});
afterEach(async () => await removeTree(folder));

const prepare = async (more: Partial<Parameters<typeof prepareStorage>[0]> = {}): Promise<PreparedStorage> =>
  await prepareStorage(
    {
      ...{ url: `file://${folder}/store`, credentialsFile: '', cacheCredentialsFile: '', keyFile: join(folder, 'key') },
      ...{ localMb: 0, volumeLocalMb: 0, ...more },
    },
    folder,
    user,
  );

test('the parts get keys of their own, and nobody gets the storage key', async () => {
  const prepared = await prepare();
  const key = (await readFile(join(folder, 'key'), 'utf8')).trim();
  expect(JSON.stringify(prepared)).not.toContain(key);
  expect(new Set(Object.values(prepared.keys)).size).toBe(4);
  const again = await prepare();
  expect([again.serverId, again.keys]).toEqual([prepared.serverId, prepared.keys]);
});

test('a folder of root is given to the user with what is in it, but no link is followed', async () => {
  await mkdir(join(folder, 'store', 'servers+'), { recursive: true });
  await writeFile(join(folder, 'store', 'servers+', 'object'), '');
  await writeFile(join(folder, 'other'), '');
  await symlink(join(folder, 'other'), join(folder, 'store', 'link'));
  await prepare();
  const owners = ['store', 'store/servers+', 'store/servers+/object', 'store/link', 'other'].map(
    async (name) => (await lstat(join(folder, name))).uid,
  );
  expect(await Promise.all(owners)).toEqual([user, user, user, user, 0]);
  expect((await lstat(join(folder, 'store'))).mode & 0o777).toBe(0o700);
});

test('a folder of another user is refused, because it may be in use', async () => {
  await mkdir(join(folder, 'store'));
  await chown(join(folder, 'store'), user + 1, user + 1);
  await expect(prepare()).rejects.toMatchObject({
    reason: 'config_invalid',
    message: expect.stringContaining('the same instance number') as string,
  });
});

test('the credentials file is given to the user that reads it', async () => {
  const credentialsFile = join(folder, 'credentials');
  await writeFile(credentialsFile, '{}', { mode: 0o600 });
  const url = 's3://bucket/prefix?region=eu-central-1';
  expect(await prepare({ url, credentialsFile })).toMatchObject({ url, credentialsFile, folder: undefined });
  expect((await lstat(credentialsFile)).uid).toBe(user);
});

test.each([
  [{ url: 'ftp://x' }, /storage URL is not valid/],
  [{ keyFile: '/nowhere/key' }, /storage key file/],
  [{ credentialsFile: '/nowhere/credentials' }, /credentials file/],
  [{ url: 'file:///nowhere/at/all' }, /cannot be used/],
])('%j stops the start', async (more, message) => {
  await expect(prepare(more)).rejects.toThrow(message);
});
