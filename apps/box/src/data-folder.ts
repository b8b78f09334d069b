import { chmod, lchown, lstat, mkdir, readdir, readlink, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { recordsFileName } from '@soulbox/storage/records-file';

/** The folder with the control plane's part of a data folder. It belongs to the control plane's user. */
export const controlDirectoryIn = (dataDirectory: string): string => join(dataDirectory, 'control');

/** The folder of the volumes. It belongs to the user of the volume service. */
export const volumesDirectoryIn = (dataDirectory: string): string => join(dataDirectory, 'volumes');

/** The folder of mounted buckets: files that are being changed. It belongs to the user of the bucket service. */
export const bucketsDirectoryIn = (dataDirectory: string): string => join(dataDirectory, 'buckets');

/** The data keys of the runner, encrypted by the master key. */
export const runnerKeysFileIn = (dataDirectory: string): string => join(dataDirectory, runnerKeysName);

export const runnerKeysName = 'runner-keys.json';

/** The key with which the runner signs exports, encrypted by its keys (apps/runner/src/exports/export-key.ts). */
export const runnerExportKeyName = 'runner-export-key.json';

/** The master key in the control plane's folder, unless the operator has chosen another file. */
export const masterKeyFileIn = (controlDirectory: string): string => join(controlDirectory, 'secrets', 'master-key');

/**
 * Entries of the data folder that belong to the control plane. Links replace them at the places they had when the
 * server was one process: commands of the host, and servers of an older version, find them by their old names.
 */
const controlEntries = [recordsFileName, 'uploads', 'functions', 'secrets', 'reserve', 'audit'] as const;
/** Files beside the records. SQLite finds them by the real name of the records. */
const besideRecords = [`${recordsFileName}-wal`, `${recordsFileName}-shm`] as const;

/**
 * Gives the control plane its own entries: moves those that are still at their single-process places, and makes `user`
 * the owner of all. After a crash at any point, the next start continues. No server may run on the folder. Throws
 * `config_invalid` for a folder that has an entry twice.
 */
export async function settleDataFolder(dataDirectory: string, user: number): Promise<void> {
  const own = controlDirectoryIn(dataDirectory);
  await mkdir(own, { recursive: true, mode: 0o700 });
  for (const name of besideRecords) await move(join(dataDirectory, name), join(own, name));
  for (const name of controlEntries) {
    await move(join(dataDirectory, name), join(own, name));
    await linkTo(join('control', name), join(dataDirectory, name));
  }
  await giveTo(own, user);
  await chmod(own, 0o700);
}

/** Makes `user` the owner of the operator's file of master keys, which that user reads. Links are not followed. */
export async function giveMasterKeyFile(path: string, user: number): Promise<void> {
  if (path !== '' && (await find(path))?.isFile() === true) await giveTo(path, user);
}

/**
 * Makes `user` the owner of the volumes. Theirs may be many files, so they are only looked at if another instance had them
 * before; the folder itself comes last.
 */
export async function settleVolumes(dataDirectory: string, user: number): Promise<void> {
  const path = volumesDirectoryIn(dataDirectory);
  await mkdir(path, { recursive: true, mode: 0o700 });
  if ((await lstat(path)).uid !== user) await giveTo(path, user);
}

/** Makes `user` the owner of what mounted buckets have on the disk. */
export async function settleBuckets(dataDirectory: string, user: number): Promise<void> {
  const path = bucketsDirectoryIn(dataDirectory);
  await mkdir(path, { recursive: true, mode: 0o700 });
  if ((await lstat(path)).uid !== user) await giveTo(path, user);
}

async function move(from: string, to: string): Promise<void> {
  const [present, moved] = await Promise.all([find(from), find(to)]);
  if (present === undefined || present.isSymbolicLink()) return;
  if (moved !== undefined)
    throw new SoulBoxError(
      'config_invalid',
      `Both ${from} and ${to} exist, and only one can be right. Keep the one that was in use last under the second name, and move the other away.`,
    );
  await rename(from, to);
}

async function linkTo(target: string, path: string): Promise<void> {
  const present = await readlink(path).catch(() => undefined);
  if (present === target) return;
  if (present !== undefined)
    throw new SoulBoxError('config_invalid', `${path} is a link to ${present}, but must be a link to ${target}.`);
  await symlink(target, path);
}

async function find(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Makes a user the owner of everything below. Links are not followed. A file with more than one name keeps its owner,
 * because the other name may be a file of the host.
 */
async function giveTo(path: string, user: number): Promise<void> {
  const found = await lstat(path);
  if (found.isDirectory()) {
    for (const name of await readdir(path)) await giveTo(join(path, name), user);
  } else if (found.nlink > 1) return;
  if (found.uid !== user || found.gid !== user) await lchown(path, user, user);
}
