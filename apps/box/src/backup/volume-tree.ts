import { lstat, opendir } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { volumesDirectoryIn } from '../data-folder.ts';
import type { BackupPart } from './manifest.ts';

/**
 * The volume service reads what tenants and sandboxes have written, so what it leaves to root is checked: a link in it
 * could make a backup read, and a restore write, other files of the host.
 */

const idForm = /^[a-zA-Z0-9-]{1,64}$/;
const prefixForm = /^[0-9a-f]{2}$/;
const blockForm = /^[0-9a-f]{32}$/;
const metadataName = 'metadata.sqlite';
const blocksName = 'blocks';
/** Of teams, of groups of a team, and of volumes of a group. */
const foldersMax = 1_000_000;

/**
 * After a part was restored, with no process that could change it: checks what it has brought if it has volumes. Throws
 * `backup_unusable`.
 */
export async function checkVolumePart({ name }: BackupPart, target: string): Promise<void> {
  const [, groupId] = /^volumes\/(.+)$/.exec(name) ?? [];
  if (groupId === undefined) return;
  try {
    let hasVolumes = false;
    for (const teamId of await readFolder(volumesDirectoryIn(target)))
      for (const present of await readFolder(join(volumesDirectoryIn(target), teamId)))
        if (present === groupId)
          hasVolumes = (await checkGroup(join(volumesDirectoryIn(target), teamId, groupId))).length > 0;
    if (!hasVolumes) throw new Error('It has no volume.');
  } catch (error) {
    throw new SoulBoxError('backup_unusable', `The part ${name} of the backup contains what no volume has.`, {
      cause: error,
    });
  }
}

/** Throws unless it is a folder, and not a link to one. */
export async function checkFolder(path: string): Promise<void> {
  if (!(await lstat(path)).isDirectory()) throw foreign(path);
}

/** The names in a folder that has folders only, named by ids. */
export async function readFolder(path: string): Promise<string[]> {
  await checkFolder(path);
  const names: string[] = [];
  for await (const entry of await opendir(path)) {
    if (!entry.isDirectory() || !idForm.test(entry.name) || names.length >= foldersMax)
      throw foreign(join(path, entry.name));
    names.push(entry.name);
  }
  return names.sort();
}

/** The ids of the volumes in the folder of a group. Throws unless it has nothing but volumes and blocks. */
export async function checkGroup(path: string): Promise<string[]> {
  const ids = (await readFolder(path)).filter((name) => name !== blocksName);
  for (const id of ids) await checkEach(join(path, id), (entry) => entry.isFile() && entry.name === metadataName);
  const blocks = join(path, blocksName);
  await checkEach(blocks, (entry) => entry.isDirectory() && prefixForm.test(entry.name));
  for await (const { name: prefix } of await opendir(blocks))
    await checkEach(
      join(blocks, prefix),
      (entry) => entry.isFile() && blockForm.test(entry.name) && entry.name.startsWith(prefix),
    );
  return ids;
}

async function checkEach(path: string, isOurs: (entry: Dirent) => boolean): Promise<void> {
  await checkFolder(path);
  for await (const entry of await opendir(path)) if (!isOurs(entry)) throw foreign(join(path, entry.name));
}

const foreign = (path: string): SoulBoxError =>
  new SoulBoxError('internal', `${path} is not what the volume service makes.`);
