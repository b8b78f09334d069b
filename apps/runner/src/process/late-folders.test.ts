/** @module-tag violation */
import { mkdir, mkdtemp, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { fileKeyringRecords } from '@soulbox/keyring';
import { hasFolderKey, readFolderPolicy } from '@soulbox/linux/fscrypt';
import { openDiskReserve } from '@soulbox/storage';
import { makeTestDirectory } from '@soulbox/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runnerContentFolders } from './content-folders.ts';
import type { EncryptedFolders } from './encrypt-folders.ts';
import { encryptAsOperator, makeDisk, startEncryption } from './testing/folder-bench.ts';

const warned: { readonly fields: object; readonly message: string }[] = [];
const logger = { warn: (fields: object, message: string) => void warned.push({ fields, message }) };
let folder: string;
let disk: string;
let data: string;
const mounted: string[] = [];

beforeAll(async () => {
  folder = await makeTestDirectory('late-folders-');
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

const volumes = (): string => join(data, 'volumes');
const buckets = (): string => join(data, 'buckets');
const layers = (): string => join(data, 'layers');

const start = async (isWanted = true): Promise<EncryptedFolders | undefined> =>
  await startEncryption(data, join(folder, 'master-key'), {
    ...{ isWanted, folders: runnerContentFolders(data), lateFolders: [volumes(), buckets()], logger },
  });
/** As the start of a version that knows only the runner's own folders. */
const startEarlier = async (): Promise<EncryptedFolders | undefined> =>
  await startEncryption(data, join(folder, 'master-key'), {
    isWanted: true,
    folders: runnerContentFolders(data),
    logger,
  });

async function writeInto(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'file'), 'content');
}

/** What services without volumes and mounts leave. */
async function useServices(): Promise<void> {
  await mkdir(join(buckets(), 'a-boot', 'a-mount'), { recursive: true });
  await mkdir(join(volumes(), 'a-team'), { recursive: true });
  await openDiskReserve(join(volumes(), '.reserve')).restore();
}

const keyId = async (): Promise<string> =>
  (await fileKeyringRecords(join(data, 'runner-keys.json')).findDiskKey())?.keyId ?? '';
const isReadable = (path: string): boolean => readFolderPolicy(path).kind === 'none';

describe('of a new data folder', () => {
  test('have the key of the others, and lose it with them', async () => {
    const encrypted = await start();
    for (const path of [volumes(), buckets()]) {
      expect(readFolderPolicy(path)).toEqual(readFolderPolicy(layers()));
      await writeInto(join(path, 'team'));
    }
    await encrypted?.lock();
    expect(hasFolderKey(disk, await keyId())).toBe(false);
    expect(await readdir(volumes())).not.toContain('team');
    expect(await start(false)).toBeDefined();
    expect(await readFile(join(volumes(), 'team/file'), 'utf8')).toBe('content');
    expect(warned).toEqual([]);
  });

  test('may have what a service leaves that was never used', async () => {
    await useServices();
    await start();
    expect([isReadable(volumes()), isReadable(buckets()), warned]).toEqual([false, false, []]);
  });

  test('are refused with readable files, and nothing is encrypted', async () => {
    await useServices();
    await writeInto(join(volumes(), 'a-team/a-group'));
    await expect(start()).rejects.toMatchObject({
      reason: 'config_invalid',
      message: expect.stringMatching(/volumes has readable files/) as string,
    });
    await expect(stat(layers())).rejects.toThrow('ENOENT');
    expect(await readFile(join(volumes(), 'a-team/a-group/file'), 'utf8')).toBe('content');
    expect((await readdir(join(volumes(), '.reserve'))).length).toBeGreaterThan(0);
  });

  test('are refused if they are the root of a file system, with the remedy', async () => {
    mounted.push(await makeDisk(folder, 'encrypt', volumes()));
    await expect(start()).rejects.toThrow(/volumes is the root of a file system[^]*bind mount/);
    expect(await readdir(volumes())).toEqual(['lost+found']);
  });

  test('stay readable without the setting', async () => {
    await writeInto(volumes());
    expect(await start(false)).toBeUndefined();
    expect([isReadable(volumes()), warned]).toEqual([true, []]);
  });
});

describe('of a data folder that an earlier version has encrypted', () => {
  test.for([true, false])('are encrypted if they have no files, with the setting %s', async (isWanted) => {
    await startEarlier();
    await useServices();
    await start(isWanted);
    expect(readFolderPolicy(volumes())).toEqual(readFolderPolicy(layers()));
    expect(readFolderPolicy(buckets())).toEqual(readFolderPolicy(layers()));
    expect(warned).toEqual([]);
  });

  test.for([true, false])(
    'stay readable if they have files, with one warning, with the setting %s',
    async (isWanted) => {
      await startEarlier();
      await useServices();
      await writeInto(join(volumes(), 'a-team/a-group'));
      await writeInto(join(buckets(), 'a-boot/a-mount'));
      const encrypted = await start(isWanted);
      expect(warned).toEqual([
        {
          fields: {
            readable: [
              { folder: volumes(), reason: 'has files' },
              { folder: buckets(), reason: 'has files' },
            ],
          },
          message: expect.stringContaining('docs/secrets.md') as string,
        },
      ]);
      expect(await readFile(join(volumes(), 'a-team/a-group/file'), 'utf8')).toBe('content');
      expect((await readdir(join(volumes(), '.reserve'))).length).toBeGreaterThan(0);
      await encrypted?.lock();
      expect(await readFile(join(buckets(), 'a-boot/a-mount/file'), 'utf8')).toBe('content');
    },
  );

  test('are encrypted once their files are gone', async () => {
    await startEarlier();
    await writeInto(join(volumes(), 'a-team/a-group'));
    await start();
    await removeTree(join(volumes(), 'a-team/a-group'));
    warned.length = 0;
    await start();
    expect([isReadable(volumes()), warned]).toEqual([false, []]);
  });

  test('stay as they are if they are links, or on a file system that cannot encrypt', async () => {
    await startEarlier();
    await mkdir(join(data, 'elsewhere'));
    await symlink(join(data, 'elsewhere'), volumes());
    await mkdir(buckets());
    await run('mount', ['-t', 'tmpfs', 'tmpfs', buckets()]);
    mounted.push(buckets());
    const encrypted = await start();
    expect(warned).toMatchObject([
      {
        fields: {
          readable: [
            { folder: volumes(), reason: 'is no folder' },
            { folder: buckets(), reason: 'file system without encryption' },
          ],
        },
      },
    ]);
    expect(isReadable(join(data, 'elsewhere'))).toBe(true);
    await encrypted?.lock();
    expect(hasFolderKey(disk, await keyId())).toBe(false);
    expect(warned).toHaveLength(1);
  });

  test('stay as they are if they are the root of a file system', async () => {
    await startEarlier();
    mounted.push(await makeDisk(folder, 'encrypt', volumes()));
    await start();
    expect(warned).toMatchObject([{ fields: { readable: [{ folder: volumes(), reason: 'root of a file system' }] } }]);
    expect(await readdir(volumes())).toEqual(['lost+found']);
  });

  test('on a disk of their own have the key there until the end', async () => {
    await startEarlier();
    const other = await makeDisk(folder, 'encrypt', join(data, 'other'));
    await mkdir(join(other, 'volumes'));
    await mkdir(volumes());
    await run('mount', ['--bind', join(other, 'volumes'), volumes()]);
    mounted.push(volumes(), other);
    const encrypted = await start();
    await writeInto(join(volumes(), 'a-team'));
    expect(hasFolderKey(other, await keyId())).toBe(true);
    await encrypted?.lock();
    expect([hasFolderKey(other, await keyId()), hasFolderKey(disk, await keyId())]).toEqual([false, false]);
    await expect(readFile(join(volumes(), 'a-team/file'))).rejects.toThrow();
    // The mount itself uses the folder, so its names stay readable.
    expect(warned).toMatchObject([{ message: expect.stringContaining('encrypted files are in use') as string }]);
  });

  test('may have a key of the operator that the kernel has, and are refused without it', async () => {
    await startEarlier();
    await mkdir(volumes());
    {
      await using _operator = await encryptAsOperator(volumes(), disk);
      await writeInto(join(volumes(), 'a-team'));
      expect(await start()).toBeDefined();
      expect(await readFile(join(volumes(), 'a-team/file'), 'utf8')).toBe('content');
    }
    const before = await readdir(volumes());
    await expect(start()).rejects.toMatchObject({
      reason: 'master_key_missing',
      message: expect.stringMatching(/volumes is encrypted with a key that the kernel does not have/) as string,
    });
    expect(await readdir(volumes())).toEqual(before);
  });
});

test('alone they show that the data folder is encrypted', async () => {
  const encrypted = await start();
  await writeInto(join(volumes(), 'a-team'));
  await encrypted?.lock();
  for (const path of runnerContentFolders(data)) await removeTree(path);
  expect(await start(false)).toBeDefined();
  expect(readFolderPolicy(layers())).toEqual(readFolderPolicy(volumes()));
  expect(await readFile(join(volumes(), 'a-team/file'), 'utf8')).toBe('content');
});
