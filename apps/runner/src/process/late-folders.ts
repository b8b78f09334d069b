import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hasFile, isNodeError, removeTree, run, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { serviceReserveName } from '@soulbox/storage';
import { isEncrypted, isFileSystemRoot } from './folder-policies.ts';
import type { FoundFolder } from './folder-policies.ts';

/** Why a folder is readable beside encrypted ones. */
type Reason = 'has files' | 'is no folder' | 'root of a file system' | 'file system without encryption';

/** Of asm-generic/fcntl.h; node:fs has no name for it. */
const tmpfile = 0o20000000;

/**
 * Chooses the folders that can have the key of a data folder that is encrypted already. The others stay as an earlier
 * version has left them, with one warning: they have files, or cannot be encrypted. Throws
 * `master_key_missing` for a folder with another key which the kernel does not have.
 */
export async function chooseLateFolders(
  found: readonly FoundFolder[],
  keyId: string | undefined,
  logger: Pick<Logger, 'warn'>,
): Promise<FoundFolder[]> {
  const chosen: FoundFolder[] = [];
  const readable: { readonly folder: string; readonly reason: Reason }[] = [];
  for (const one of found) {
    const { folder, policy } = one;
    if (isEncrypted(policy) && policy.keyId !== keyId) await refuseLocked(folder);
    else {
      const reason = await whyReadable(one);
      if (reason === undefined) chosen.push(one);
      else readable.push({ folder, reason });
    }
  }
  if (readable.length > 0)
    logger.warn({ readable }, 'folders beside the encrypted ones stay readable: docs/secrets.md says what to do');
  return chosen;
}

async function whyReadable({ folder, policy }: FoundFolder): Promise<Reason | undefined> {
  if (policy === undefined || isEncrypted(policy)) return undefined;
  if (policy === 'not_a_folder') return 'is no folder';
  if (policy.kind !== 'none') return 'file system without encryption';
  if (await isFileSystemRoot(folder)) return 'root of a file system';
  await removeLeftovers(folder);
  return (await readdir(folder)).length === 0 ? undefined : 'has files';
}

/**
 * Empties a folder that has no files of tenants: services leave empty folders, and their reserve of space. Nothing is
 * removed from a folder with files.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  if ((await isFileSystemRoot(folder)) || (await hasFile(folder, [serviceReserveName]))) return;
  await removeTree(join(folder, serviceReserveName));
  // The service may run: find(1) follows no link, and removes no folder that has got a file.
  const tests = ['-mindepth', '1', '-xdev', '-depth', '-type', 'd', '-empty', '-delete'];
  await run('find', ['-P', folder, ...tests], { timeoutMs: 60_000 }).catch(() => undefined);
}

/** The operator may have encrypted it, and must then have unlocked it. Otherwise its names would be unknown. */
async function refuseLocked(folder: string): Promise<void> {
  try {
    await using _file = await open(folder, constants.O_RDWR | constants.O_DIRECTORY | tmpfile, 0o600);
  } catch (error) {
    if (!isNodeError(error) || error.errno !== -enokey) throw error;
    throw new SoulBoxError(
      'master_key_missing',
      `${folder} is encrypted with a key that the kernel does not have, and that is not the key of this data folder. ` +
        'If you have encrypted it yourself, unlock it. Otherwise put the folder back that belongs to this data folder (docs/secrets.md).',
    );
  }
}

/** asm-generic/errno.h; node:os has no name for it. */
const enokey = 126;
