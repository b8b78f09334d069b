/** @module-tag violation */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { loadConfig } from '@soulbox/base/config';
import { silentLogger } from '@soulbox/base/logger';
import { keyringConfigSchema } from '@soulbox/keyring/config';
import { fileKeyringRecords, fileMasterKeys } from '@soulbox/keyring';
import { hasFolderKey, readFolderPolicy } from '@soulbox/linux/fscrypt';
import { encryptFolders, openRunnerKeys, runnerContentFolders } from '@soulbox/runner/process';
import { openDiskReserve } from '@soulbox/storage';
import { makeTestDirectory } from '@soulbox/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { masterKeyFileIn, runnerKeysFileIn, settleBuckets, settleVolumes } from '../data-folder.ts';
import type { BackupPart } from './manifest.ts';
import { backupFormat, writeBackupManifest } from './manifest.ts';
import { writePart } from './part-file.ts';
import { restoreBackup } from './restore.ts';

const { signal } = new AbortController();
const serviceUser = 777_777;
const encryptWith = loadConfig(keyringConfigSchema, {});
let folder: string;
let disk: string;
let backup: string;
let originKeyId: string | undefined;

beforeAll(async () => {
  folder = await makeTestDirectory('encrypt-target-');
  const image = join(folder, 'image');
  disk = join(folder, 'disk');
  const file = await open(image, 'wx');
  await file.truncate(64 * 2 ** 20);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-O', 'encrypt', image]);
  await mkdir(disk);
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);
  backup = await makeBackup();
});
afterAll(async () => {
  await run('umount', ['--', disk]);
  await removeTree(folder);
});

/** Of a server with encrypted folders: a data folder with its keys and one file in each of these places. */
async function makeBackup(): Promise<string> {
  const [source, target] = [join(folder, 'source'), join(folder, 'backup')];
  await mkdir(join(source, 'secrets'), { recursive: true });
  await mkdir(target);
  await encryptOrigin(source);
  for (const name of ['layers', 'uploads', 'volumes', 'buckets', 'a1']) {
    await mkdir(join(source, name));
    await writeFile(join(source, name, 'file'), `content of ${name}`);
  }
  const parts: BackupPart[] = [];
  const add = async (name: string, names: string[], into: BackupPart['into'] = '.'): Promise<void> => {
    const file = `${name.replaceAll('/', '-')}.tar.zst`;
    const written = await writePart({ directory: source, names }, join(target, file), signal);
    parts.push({ name, into, file, contentBytes: 1000, ...written });
  };
  await add('layers/x', ['layers']);
  await add('secrets', ['secrets']);
  await add('runner-keys', ['runner-keys.json']);
  await add('uploads', ['uploads']);
  await add('services', ['volumes', 'buckets']);
  await add('templates/a1', ['a1'], 'templates');
  const none = { savers: [], sandboxCount: 0, snapshotCount: 0, volumeCount: 0, leftOut: [] };
  await writeBackupManifest(target, { format: backupFormat, createdAtMs: 1, cpuType: 'c', ...none, parts });
  return target;
}

async function encryptOrigin(source: string): Promise<void> {
  const keysFile = runnerKeysFileIn(source);
  using keyring = await openRunnerKeys({
    ...{ path: keysFile, dataDirectory: source, sources: [fileMasterKeys(masterKeyFileIn(source))] },
    reserve: openDiskReserve(join(source, 'reserve')),
  });
  const encrypted = await encryptFolders({
    isWanted: true,
    folders: [join(disk, 'origin')],
    keysFile,
    keyring,
    logger: silentLogger,
  });
  originKeyId = await keyIdOf(source);
  await encrypted?.lock();
}

async function restore(encrypted: boolean): Promise<string> {
  const target = await mkdtemp(join(disk, 'data-'));
  const options = { source: backup, target, signal, onStep: () => undefined };
  const { warnings } = await restoreBackup({ ...options, ...(encrypted ? { encryptWith } : {}) });
  expect(warnings).toEqual([]);
  return target;
}

const keyIdOf = async (target: string): Promise<string | undefined> =>
  (await fileKeyringRecords(runnerKeysFileIn(target)).findDiskKey())?.keyId;

/** As the start of a server. */
async function unlock(target: string): Promise<void> {
  const keysFile = runnerKeysFileIn(target);
  using keyring = await openRunnerKeys({
    ...{ path: keysFile, dataDirectory: target, sources: [fileMasterKeys(masterKeyFileIn(target))] },
    reserve: openDiskReserve(join(target, 'reserve')),
  });
  const folders = runnerContentFolders(target);
  await encryptFolders({ isWanted: false, folders, keysFile, keyring, logger: silentLogger });
}

const places = ['layers', 'uploads', 'volumes', 'buckets', 'templates/a1'];

test.for([
  ['encrypted', true],
  ['none', false],
] as const)('the folders of a restored backup are of the kind %s, with encryption %s', async ([kind, encrypted]) => {
  const target = await restore(encrypted);
  if (encrypted) {
    expect(hasFolderKey(target, (await keyIdOf(target)) ?? '')).toBe(false);
    expect(await readdir(join(target, 'layers'))).not.toContain('file');
  }
  // The next start does this before the runner gives the key.
  await settleVolumes(target, serviceUser);
  await settleBuckets(target, serviceUser);
  if (encrypted) await unlock(target);
  for (const path of ['volumes', 'volumes/file', 'buckets', 'buckets/file'])
    expect([path, (await stat(join(target, path))).uid]).toEqual([path, serviceUser]);
  for (const place of places) {
    expect([place, readFolderPolicy(join(target, place)).kind]).toEqual([place, kind]);
    expect(await readFile(join(target, place, 'file'), 'utf8')).toBe(`content of ${place.replace('templates/', '')}`);
  }
});

test('a restored copy has no key of its origin, so the end of one server takes nothing from the other', async () => {
  const keyIds = await Promise.all(
    [true, true, false].map(async (encrypted) => await keyIdOf(await restore(encrypted))),
  );
  expect(keyIds[2]).toBeUndefined();
  expect(new Set([...keyIds.slice(0, 2), originKeyId])).toHaveProperty('size', 3);
});

test('a restore that fails leaves no file and no key in the kernel', async () => {
  const target = await mkdtemp(join(disk, 'data-'));
  const given: string[] = [];
  const onStep = (text: string): void => {
    if (!text.includes('templates/')) return;
    const { diskKey } = JSON.parse(readFileSync(runnerKeysFileIn(target), 'utf8')) as { diskKey: { keyId: string } };
    if (hasFolderKey(target, diskKey.keyId)) given.push(diskKey.keyId);
    throw new Error('no');
  };
  await expect(restoreBackup({ source: backup, target, signal, onStep, encryptWith })).rejects.toThrow();
  expect(await readdir(target)).toEqual([]);
  expect(given.map((keyId) => hasFolderKey(target, keyId))).toEqual([false]);
});
