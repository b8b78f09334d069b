import { lstat, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { readFolderPolicy } from '@soulbox/linux/fscrypt';
import type { FolderPolicy } from '@soulbox/linux/fscrypt';

type EncryptedPolicy = FolderPolicy & { kind: 'encrypted' };

/** Undefined: there is nothing. */
type FoundPolicy = FolderPolicy | 'not_a_folder' | undefined;

export interface FoundFolder {
  readonly folder: string;
  readonly policy: FoundPolicy;
  /**
   * The operator encrypts the folder above, so this one has, or will have, that policy and no other: the kernel allows
   * none. A policy of this server is never on a folder above.
   */
  readonly isOperators: boolean;
}

export const isEncrypted = (found: FoundPolicy): found is EncryptedPolicy =>
  typeof found === 'object' && found.kind === 'encrypted';

export async function findFolder(folder: string): Promise<FoundFolder> {
  const [policy, above] = [await policyOf(folder), await policyAbove(folder)];
  return { folder, policy, isOperators: isEncrypted(above) && (policy === undefined || isSame(policy, above)) };
}

/** The first of these folders that this server has encrypted. Needs no key. */
export async function findEncryptedFolder(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const { policy, isOperators } = await findFolder(folder);
    if (isEncrypted(policy) && !isOperators) return folder;
  }
  return undefined;
}

/** The root of an ext4, which has lost+found, cannot be encrypted. */
export const isFileSystemRoot = async (folder: string): Promise<boolean> => (await stat(folder)).ino === rootInode;

/** fs/ext4/ext4.h */
const rootInode = 2;

const isSame = (policy: FoundPolicy, above: EncryptedPolicy): boolean =>
  isEncrypted(policy) && policy.keyId === above.keyId;

async function policyOf(folder: string): Promise<FoundPolicy> {
  try {
    // The user of the control plane could replace its own folders by links.
    return (await lstat(folder)).isDirectory() ? readFolderPolicy(folder) : 'not_a_folder';
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The data folder itself may be a link. */
async function policyAbove(folder: string): Promise<FoundPolicy> {
  try {
    return await policyOf(await realpath(dirname(folder)));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const isMissing = (error: unknown): boolean => isNodeError(error) && error.code === 'ENOENT';
