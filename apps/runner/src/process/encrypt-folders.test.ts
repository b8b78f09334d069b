/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree, run } from '@soulbox/base';
import { fileKeyringRecords } from '@soulbox/keyring';
import { ioctl } from '@soulbox/linux/descriptors';
import { hasFolderKey, readFolderPolicy } from '@soulbox/linux/fscrypt';
import { check } from '@soulbox/linux/libc';
import { makeTestDirectory } from '@soulbox/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runnerContentFolders } from './content-folders.ts';
import type { EncryptedFolders } from './encrypt-folders.ts';
import { findOwnTemplates } from './own-templates.ts';
import { encryptAsOperator, makeDisk, startEncryption } from './testing/folder-bench.ts';

const warned: string[] = [];
const logger = { warn: (_: object, message: string) => void warned.push(message) };
let folder: string;
let disk: string;
/** A new data folder on the disk for each test. */
let data: string;
/** Mounts of one test. */
const mounted: string[] = [];

beforeAll(async () => {
  folder = await makeTestDirectory('encrypt-');
  disk = await makeDisk(folder, 'encrypt', join(folder, 'disk'));
});
afterAll(async () => {
  await run('umount', ['--', disk]);
  await removeTree(folder);
});
beforeEach(async () => {
  warned.length = 0;
  data = await mkdtemp(join(disk, 'data-'));
});
afterEach(async () => {
  for (const path of mounted.splice(0)) await run('umount', ['--', path]);
  await removeTree(data);
});

/** As the start of a runner. */
const start = async ({
  isWanted = true,
  directory = data,
  templates,
}: { isWanted?: boolean; directory?: string; templates?: string } = {}): Promise<EncryptedFolders | undefined> =>
  await startEncryption(directory, join(folder, 'master-key'), {
    ...{ isWanted, folders: runnerContentFolders(directory), templates, logger },
  });

const layer = (): string => join(data, 'layers', 'a.img');

test('the folders are encrypted with one key, and files move between them and out of them', async () => {
  expect(await start()).toBeDefined();
  const policies = runnerContentFolders(data).map(readFolderPolicy);
  expect(new Set(policies.map((policy) => JSON.stringify(policy))).size).toBe(1);
  expect(policies[0]).toMatchObject({ kind: 'encrypted' });
  await mkdir(join(data, 'sandboxes', 'x'));
  await writeFile(join(data, 'sandboxes', 'x', 'a.img'), 'content');
  await rename(join(data, 'sandboxes', 'x', 'a.img'), layer());
  await mkdir(join(data, 'stage'));
  await rename(layer(), join(data, 'stage', 'a.img'));
  expect(await readFile(join(data, 'stage', 'a.img'), 'utf8')).toBe('content');
});

test('without the key nothing can be read or made, and a start without the setting gives it back', async () => {
  const encrypted = await start();
  await writeFile(layer(), 'content');
  await encrypted?.lock();
  expect(await readdir(join(data, 'layers'))).not.toContain('a.img');
  await expect(writeFile(join(data, 'layers', 'b.img'), '')).rejects.toThrow('126');
  expect(await start({ isWanted: false })).toBeDefined();
  expect(await readFile(layer(), 'utf8')).toBe('content');
  expect(await start()).toBeDefined();
});

test('a start that was killed between two folders is completed by the next one', async () => {
  await start();
  await rm(join(data, 'sandboxes'), { recursive: true });
  await mkdir(join(data, 'sandboxes'));
  await rm(join(data, 'dependencies'), { recursive: true });
  await start({ isWanted: false });
  expect(readFolderPolicy(join(data, 'sandboxes'))).toEqual(readFolderPolicy(join(data, 'layers')));
  expect(readFolderPolicy(join(data, 'dependencies'))).toEqual(readFolderPolicy(join(data, 'layers')));
});

test('an older version refuses the file of keys, because it knows only format 1', async () => {
  await start({ isWanted: false });
  const formatOf = async (): Promise<unknown> =>
    (JSON.parse(await readFile(join(data, 'runner-keys.json'), 'utf8')) as { format: unknown }).format;
  expect(await formatOf()).toBe(1);
  await start();
  expect(await formatOf()).toBe(2);
});

test('without the setting a data folder stays readable, and nothing is created', async () => {
  expect(await start({ isWanted: false })).toBeUndefined();
  expect(await readdir(data)).not.toContain('layers');
  expect(await fileKeyringRecords(join(data, 'runner-keys.json')).findDiskKey()).toBeUndefined();
});

test('a folder with readable files is refused with its remedy, and no folder is encrypted', async () => {
  await mkdir(join(data, 'layers'));
  await writeFile(layer(), 'content');
  await expect(start()).rejects.toMatchObject({
    reason: 'config_invalid',
    message: expect.stringMatching(
      /layers has readable files[^]*soulbox backup create[^]*restore --encrypt-disks/,
    ) as string,
  });
  expect(readFolderPolicy(join(data, 'layers'))).toEqual({ kind: 'none' });
  await expect(stat(join(data, 'sandboxes'))).rejects.toThrow('ENOENT');
});

test('a link in place of a folder is refused, and does not matter without the setting', async () => {
  await mkdir(join(data, 'elsewhere'));
  await symlink(join(data, 'elsewhere'), join(data, 'sandboxes'));
  await expect(start()).rejects.toThrow(/sandboxes must be a folder/);
  expect(await start({ isWanted: false })).toBeUndefined();
  expect(readFolderPolicy(join(data, 'elsewhere'))).toEqual({ kind: 'none' });
});

test('a lost file of keys beside encrypted folders is named, and no new one is made', async () => {
  const encrypted = await start();
  await encrypted?.lock();
  await rm(join(data, 'runner-keys.json'));
  await expect(start()).rejects.toMatchObject({ reason: 'master_key_missing' });
  await expect(stat(join(data, 'runner-keys.json'))).rejects.toThrow('ENOENT');
});

test.for([true, false])(
  'folders with another key than that of the file are refused, with the setting %s',
  async (isWanted) => {
    await start();
    await writeFile(layer(), 'content');
    const other = await mkdtemp(join(disk, 'other-'));
    await start({ directory: other });
    await rename(join(other, 'runner-keys.json'), join(data, 'runner-keys.json'));
    await removeTree(other);
    await expect(start({ isWanted })).rejects.toMatchObject({
      reason: 'master_key_missing',
      message: expect.stringMatching(/is encrypted with the key [0-9a-f]{32}, but .* has the key/) as string,
    });
    expect(await readFile(layer(), 'utf8')).toBe('content');
  },
);

describe('a data folder in a folder that the operator has encrypted', () => {
  const policies = [
    ['of version 2', encryptAsOperator],
    ['of version 1', encryptByVersion1],
  ] as const;

  test.for(policies)(
    '%s starts without the setting, again and again, and keeps nothing of a key',
    async ([, encrypt]) => {
      await using _operator = await encrypt(data, disk);
      const directory = join(data, 'inner');
      await mkdir(directory);
      for (let n = 0; n < 2; n++) {
        expect(await start({ isWanted: false, directory })).toBeUndefined();
        for (const path of runnerContentFolders(directory)) await mkdir(path, { recursive: true });
      }
      expect(await fileKeyringRecords(join(directory, 'runner-keys.json')).findDiskKey()).toBeUndefined();
    },
  );

  test.for(policies)('%s may lose its file of keys beside folders that have no content', async ([, encrypt]) => {
    await using _operator = await encrypt(data, disk);
    await mkdir(join(data, 'layers'));
    expect(await start({ isWanted: false })).toBeUndefined();
  });

  test.for(policies)('%s refuses the setting, with its remedy and no new key', async ([, encrypt]) => {
    await using _operator = await encrypt(data, disk);
    await expect(start()).rejects.toMatchObject({
      reason: 'config_invalid',
      message: expect.stringMatching(/that you have encrypted[^]*SOULBOX_ENCRYPT_DISKS=false/) as string,
    });
    expect(await fileKeyringRecords(join(data, 'runner-keys.json')).findDiskKey()).toBeUndefined();
  });

  test('may be reached by a link', async () => {
    await using _operator = await encryptAsOperator(data, disk);
    await mkdir(join(data, 'inner'));
    await mkdir(join(data, 'inner', 'layers'));
    const link = join(folder, 'link');
    await symlink(join(data, 'inner'), link);
    expect(await start({ isWanted: false, directory: link })).toBeUndefined();
    await expect(start({ directory: link })).rejects.toThrow('that you have encrypted');
  });
});

/** As e4crypt: the key has a name of 8 bytes (linux/fscrypt.h). */
async function encryptByVersion1(path: string): Promise<AsyncDisposable> {
  const name = randomBytes(8);
  const key = Buffer.concat([Buffer.alloc(80), randomBytes(64)]);
  key.writeUInt32LE(1);
  name.copy(key, 8);
  key.writeUInt32LE(64, 40);
  const policy = Buffer.from([0, 1, 4, 3, ...name]);
  await using handle = await open(path, 'r');
  check('add key', ioctl(handle.fd, 0xc0506617, key));
  check('set policy', ioctl(handle.fd, 0x800c6613, policy));
  // The kernel keeps it until the disk is unmounted.
  return { [Symbol.asyncDispose]: async () => await Promise.resolve() };
}

const keyId = async (): Promise<string> =>
  (await fileKeyringRecords(join(data, 'runner-keys.json')).findDiskKey())?.keyId ?? '';

describe('the key in the kernel', () => {
  test('is gone after the end, which may be repeated', async () => {
    const encrypted = await start();
    // The kernel now uses the key for the first of the folders, too.
    for (const path of runnerContentFolders(data)) await writeFile(join(path, 'file'), 'content');
    expect(hasFolderKey(disk, await keyId())).toBe(true);
    await encrypted?.lock();
    await encrypted?.lock();
    expect([hasFolderKey(disk, await keyId()), warned]).toEqual([false, []]);
  });

  test('stays for a file in use, with one warning, and the end waits for files that are closed soon', async () => {
    const encrypted = await start();
    const file = await open(layer(), 'w');
    const closed = sleep(500).then(async () => await file.close());
    await encrypted?.lock();
    await closed;
    expect(warned).toEqual([]);
    await start();
    await using _file = await open(layer());
    await encrypted?.lock();
    expect(warned).toEqual([expect.stringContaining('encrypted files are in use')]);
  });

  test('cannot be taken from a folder that is gone or has another file system, with a warning', async () => {
    const encrypted = await start();
    await removeTree(join(data, 'sandboxes'));
    await mountTmpfs(join(data, 'layers'));
    await encrypted?.lock();
    expect(warned).toEqual(Array(2).fill('the key of encrypted folders could not be taken from the kernel'));
    expect(hasFolderKey(disk, await keyId())).toBe(false);
  });

  test('is taken back from a start that fails, unless it was there before', async () => {
    const first = await start();
    await (await start())?.takeBack();
    expect(hasFolderKey(disk, await keyId())).toBe(true);
    await first?.takeBack();
    expect(hasFolderKey(disk, await keyId())).toBe(false);
    expect(await start()).toBeDefined();
  });

  test('does not stay when a folder cannot be encrypted', async () => {
    const encrypted = await start();
    await encrypted?.lock();
    await removeTree(join(data, 'dependencies'));
    await mkdir(join(data, 'dependencies'));
    await mountTmpfs(join(data, 'dependencies'));
    await expect(start()).rejects.toMatchObject({ reason: 'config_invalid' });
    expect([hasFolderKey(disk, await keyId()), warned]).toEqual([false, []]);
  });
});

describe('templates', () => {
  const templates = (): string => join(data, 'templates');
  beforeEach(() => mkdir(templates()));

  test('are encrypted one by one, and the folder itself is not', async () => {
    await writeFile(join(templates(), 'file'), '');
    const encrypted = await start({ templates: templates() });
    expect(await readdir(templates())).toEqual(['file']);
    expect(readFolderPolicy(templates())).toEqual({ kind: 'none' });
    await mkdir(join(templates(), 'a1'));
    encrypted?.encrypt(join(templates(), 'a1'));
    expect(readFolderPolicy(join(templates(), 'a1'))).toEqual(readFolderPolicy(join(data, 'layers')));
  });

  test('on a mount of their own have the key there until the end', async () => {
    mounted.push(await makeDisk(folder, 'encrypt', templates()));
    const encrypted = await start({ templates: templates() });
    const template = join(templates(), 'a1');
    await mkdir(template);
    encrypted?.encrypt(template);
    await writeFile(join(template, 'file'), '');
    await encrypted?.lock();
    expect([hasFolderKey(templates(), await keyId()), hasFolderKey(disk, await keyId()), warned]).toEqual([
      ...[false, false],
      [],
    ]);
  });

  test('on a mount that cannot encrypt are refused at the start, with two remedies and nothing changed', async () => {
    mounted.push(await makeDisk(folder, '^encrypt', templates()));
    await expect(start({ templates: templates() })).rejects.toMatchObject({
      reason: 'config_invalid',
      message: expect.stringMatching(/templates cannot be encrypted[^]*tune2fs[^]*SOULBOX_TEMPLATES_DIR/) as string,
    });
    expect(await fileKeyringRecords(join(data, 'runner-keys.json')).findDiskKey()).toBeUndefined();
    expect(readFolderPolicy(join(data, 'layers'))).toEqual({ kind: 'none' });
  });

  test('in a folder with another key are refused, and no entry is left', async () => {
    await using _operator = await encryptAsOperator(templates(), disk);
    await expect(start({ templates: templates() })).rejects.toThrow(/another key[^]*SOULBOX_TEMPLATES_DIR/);
    expect(await readdir(templates())).toEqual([]);
  });

  test('are those of the server if no setting and no link leads elsewhere', async () => {
    const link = join(folder, 'data-link');
    await symlink(data, link);
    expect(await findOwnTemplates(link, join(link, 'templates'))).toBe(templates());
    expect(await findOwnTemplates(data, join(disk, 'new'))).toBeUndefined();
    await rmdir(templates());
    await symlink(join(disk, 'new'), templates());
    expect(await findOwnTemplates(data, templates())).toBeUndefined();
    await rm(templates());
    expect(await findOwnTemplates(data, templates())).toBe(templates());
  });
});

test('an altered key is refused', async () => {
  await start();
  const path = join(data, 'runner-keys.json');
  const content = JSON.parse(await readFile(path, 'utf8')) as { diskKey: { sealed: string } };
  const { sealed } = content.diskKey;
  content.diskKey.sealed = sealed.slice(0, -8) + (sealed.at(-8) === 'A' ? 'B' : 'A') + sealed.slice(-7);
  await writeFile(path, JSON.stringify(content));
  await expect(start()).rejects.toMatchObject({ reason: 'state_damaged' });
});

test.for([
  ['ext4 without the feature', async (path: string) => await makeDisk(folder, '^encrypt', path), /tune2fs -O encrypt/],
  ['a tmpfs', async (path: string) => await mountTmpfs(path), /full-disk encryption/],
] as const)('%s is refused with its remedy, and works without the setting', async ([, make, remedy]) => {
  const directory = join(data, 'other');
  await mkdir(directory);
  if ((await make(directory)) !== undefined) mounted.push(directory);
  await expect(start({ directory })).rejects.toMatchObject({
    reason: 'config_invalid',
    message: expect.stringMatching(remedy) as string,
  });
  expect(await start({ directory, isWanted: false })).toBeUndefined();
});

async function mountTmpfs(path: string): Promise<void> {
  await run('mount', ['-t', 'tmpfs', 'tmpfs', path]);
  mounted.push(path);
}
