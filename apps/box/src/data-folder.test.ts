import { link, lstat, mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { ensureDefaultTeam, openDiskReserve, openSqliteRecords } from '@soulbox/storage';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { giveMasterKeyFile, settleDataFolder } from './data-folder.ts';

const user = 777_777;
let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'data-folder-'));
});
afterEach(async () => await removeTree(data));

/**
 * Creates the data folder that a killed single-process server leaves: the latest changes of the records are in the file
 * beside them.
 */
async function fillOld(): Promise<void> {
  const records = openSqliteRecords(join(data, 'records.sqlite'));
  await ensureDefaultTeam(records);
  for (const name of ['uploads', 'functions', 'secrets']) {
    await mkdir(join(data, name), { mode: 0o700 });
    await writeFile(join(data, name, 'content'), name, { mode: 0o600 });
  }
  await openDiskReserve(join(data, 'reserve')).restore();
  await mkdir(join(data, 'sandboxes'), { mode: 0o700 });
  // Copied while it is open, as after a crash: a regular close would merge the changes into the records.
  for (const name of ['records.sqlite', 'records.sqlite-wal'])
    await writeFile(join(data, `copy-${name}`), await readFile(join(data, name)), { mode: 0o600 });
  await records[Symbol.asyncDispose]();
  await rm(join(data, 'records.sqlite'));
  for (const name of ['records.sqlite', 'records.sqlite-wal'])
    await rename(join(data, `copy-${name}`), join(data, name));
}

async function ownersBelow(folder: string): Promise<Set<number>> {
  const names = await readdir(folder, { recursive: true });
  return new Set(await Promise.all(names.map(async (name) => (await lstat(join(folder, name))).uid)));
}

async function teamNames(path: string): Promise<string[]> {
  await using records = openSqliteRecords(path);
  return (await records.teams.list()).map(({ name }) => name);
}

test('data of a single-process server is moved, changes its owner and is found under its old names', async () => {
  await fillOld();
  await settleDataFolder(data, user);
  expect(await ownersBelow(join(data, 'control'))).toEqual(new Set([user]));
  expect((await lstat(join(data, 'control'))).mode & 0o777).toBe(0o700);
  expect((await lstat(join(data, 'sandboxes'))).uid).toBe(process.getuid?.());
  for (const name of ['uploads', 'functions', 'secrets'])
    expect(await readFile(join(data, name, 'content'), 'utf8')).toBe(name);
  expect(openDiskReserve(join(data, 'reserve')).heldBytes()).toBe(64 * 2 ** 20);
  // Data that was committed before the crash is there, under both names.
  for (const path of ['records.sqlite', 'control/records.sqlite'])
    expect(await teamNames(join(data, path))).toHaveLength(1);
});

test('files that a command of root has made beside the server become the control plane’s at the next start', async () => {
  await settleDataFolder(data, user);
  await using records = openSqliteRecords(join(data, 'records.sqlite'));
  await ensureDefaultTeam(records);
  await settleDataFolder(data, user);
  expect(await ownersBelow(join(data, 'control'))).toEqual(new Set([user]));
});

test('a move that was interrupted at any point is completed', async () => {
  await fillOld();
  await mkdir(join(data, 'control'));
  await rename(join(data, 'records.sqlite-wal'), join(data, 'control', 'records.sqlite-wal'));
  await rename(join(data, 'uploads'), join(data, 'control', 'uploads'));
  await settleDataFolder(data, user);
  expect(await teamNames(join(data, 'records.sqlite'))).toHaveLength(1);
  expect(await readFile(join(data, 'uploads', 'content'), 'utf8')).toBe('uploads');
  await settleDataFolder(data, user);
  expect(await readFile(join(data, 'uploads', 'content'), 'utf8')).toBe('uploads');
});

test('another instance number makes another user the owner', async () => {
  await fillOld();
  await settleDataFolder(data, user);
  await settleDataFolder(data, user + 1);
  expect(await ownersBelow(join(data, 'control'))).toEqual(new Set([user + 1]));
});

test('a planted link does not change the owner of a host file', async () => {
  await settleDataFolder(data, user);
  const foreign = join(data, 'foreign');
  await writeFile(foreign, '');
  await symlink(foreign, join(data, 'control', 'soft'));
  await link(foreign, join(data, 'control', 'hard'));
  await settleDataFolder(data, user + 1);
  expect((await lstat(foreign)).uid).toBe(process.getuid?.());
});

test('an entry that exists twice stops the start', async () => {
  await settleDataFolder(data, user);
  await rm(join(data, 'uploads'));
  await mkdir(join(data, 'uploads'));
  await mkdir(join(data, 'control', 'uploads'), { recursive: true });
  await expect(settleDataFolder(data, user)).rejects.toMatchObject({ reason: 'config_invalid' });
});

test("the operator's file of master keys is given to the user, but no link, no folder and no file with another name", async () => {
  const owner = async (name: string): Promise<number> => (await lstat(join(data, name))).uid;
  await writeFile(join(data, 'key'), 'x', { mode: 0o600 });
  await giveMasterKeyFile(join(data, 'key'), user);
  expect(await owner('key')).toBe(user);
  await writeFile(join(data, 'other'), 'x');
  await symlink('other', join(data, 'link'));
  await link(join(data, 'other'), join(data, 'second-name'));
  await mkdir(join(data, 'folder'));
  for (const name of ['link', 'second-name', 'folder', 'missing']) await giveMasterKeyFile(join(data, name), user);
  await giveMasterKeyFile('', user);
  expect(await Promise.all(['link', 'other', 'folder'].map(owner))).toEqual([0, 0, 0]);
});
