import { randomBytes } from 'node:crypto';
import { lchown, mkdir, readdir, stat } from 'node:fs/promises';
import { constants as os } from 'node:os';
import { dirname } from 'node:path';
import { Secret, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { fileKeyringRecords } from '@soulbox/keyring';
import type { Keyring } from '@soulbox/keyring';
import { addFolderKey, folderKeySize, removeFolderKey, setFolderPolicy } from '@soulbox/linux/fscrypt';
import { SystemCallError } from '@soulbox/linux/libc';
import { findFolder, isEncrypted } from './folder-policies.ts';
import type { FoundFolder } from './folder-policies.ts';

const place = { table: 'runner', row: 'disks', field: 'key', team: '' };
const fullDisk =
  'Use full-disk encryption (LUKS) there instead, and set SOULBOX_ENCRYPT_DISKS=false (docs/secrets.md).';

export interface EncryptFoldersOptions {
  /** Whether the operator wants it. A data folder that is encrypted stays so. */
  readonly isWanted: boolean;
  /** Absolute paths. Missing ones are created; they get the owner of their parent. */
  readonly folders: readonly string[];
  /** The file with the runner's data keys, which also has the key of the folders. */
  readonly keysFile: string;
  readonly keyring: Pick<Keyring, 'open' | 'seal'>;
}

/** The folders are encrypted, and the kernel has their key. */
export interface EncryptedFolders {
  /** Encrypts one more folder, which must be empty. */
  encrypt(folder: string): void;
  /** Takes the key from the kernel. No program may use the folders any more. */
  lock(logger: Logger): Promise<void>;
}

/**
 * Encrypts the folders by the kernel (fscrypt; decision 045) if it is wanted, and gives the kernel the key of folders
 * that are encrypted. Undefined: this server does not encrypt them. Throws `config_invalid` for a file system that cannot, and for a folder
 * with readable files, which would stay readable. Throws `master_key_missing` for a lost key. After an error no file has
 * changed.
 */
export async function encryptFolders(options: EncryptFoldersOptions): Promise<EncryptedFolders | undefined> {
  const { folders, keysFile, keyring, isWanted } = options;
  const records = fileKeyringRecords(keysFile);
  const known = await records.findDiskKey();
  const before = await Promise.all(folders.map(findFolder));
  for (const found of before) refuseOtherKey(found, known?.keyId, keysFile);
  if (!isWanted && !before.some(({ policy, isOperators }) => isEncrypted(policy) && !isOperators)) return undefined;
  for (const found of before) await refuseUnusable(found);
  for (const { folder, policy } of before) if (policy === undefined) await makeFolder(folder);

  const key = known === undefined ? randomBytes(folderKeySize) : await openKey(keyring, known.sealed);
  try {
    const keyId = addKey(folders, key);
    // On the disk before the first folder is encrypted. From now on an older version refuses to start here.
    if (known === undefined) {
      const sealed = await keyring.seal(new Secret(key.toString('base64')), place);
      await records.addDiskKey({ keyId, sealed });
    }
    for (const { folder, policy } of before) if (!isEncrypted(policy)) setPolicy(folder, keyId);
    return {
      encrypt: (folder) => setPolicy(folder, keyId),
      lock: async (logger) => await lock(folders, keyId, logger),
    };
  } finally {
    key.fill(0);
  }
}

function refuseOtherKey(
  { folder, policy, isOperators }: FoundFolder,
  keyId: string | undefined,
  keysFile: string,
): void {
  if (!isEncrypted(policy) || isOperators || policy.keyId === keyId) return;
  throw new SoulBoxError(
    'master_key_missing',
    `${folder} is encrypted with the key ${policy.keyId}, but ${keysFile} has ${keyId === undefined ? 'none' : `the key ${keyId}`}. ` +
      'Put the file back that belongs to this data folder, for example from a backup (docs/secrets.md).',
  );
}

async function refuseUnusable({ folder, policy, isOperators }: FoundFolder): Promise<void> {
  if (isOperators)
    throw new SoulBoxError(
      'config_invalid',
      `SOULBOX_ENCRYPT_DISKS: ${dirname(folder)} is in a folder that you have encrypted (fscrypt), and the kernel allows no other key in it. ` +
        'Set SOULBOX_ENCRYPT_DISKS=false, and your key protects the files of tenants; or use a data folder outside of that folder (docs/secrets.md).',
    );
  if (policy === 'not_a_folder')
    throw new SoulBoxError(
      'config_invalid',
      `SOULBOX_ENCRYPT_DISKS: ${folder} must be a folder, not a link or a file. Put a folder, or a mount, in its place.`,
    );
  if (policy === undefined || isEncrypted(policy) || (await readdir(folder)).length === 0) return;
  throw new SoulBoxError(
    'config_invalid',
    `SOULBOX_ENCRYPT_DISKS: ${folder} has readable files, and encrypting cannot change these. ` +
      'Make a backup without this setting (`soulbox backup create`), restore it with the setting into a new data folder on a fresh disk ' +
      '(`soulbox backup restore --encrypt-disks`), and start the server there (docs/secrets.md).',
  );
}

/** Folders of the control plane belong to its user, as the folder in which they are. */
async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { uid, gid } = await stat(dirname(folder));
  await lchown(folder, uid, gid);
}

async function openKey(keyring: Pick<Keyring, 'open'>, sealed: string): Promise<Buffer> {
  return Buffer.from((await keyring.open(sealed, place)).reveal(), 'base64');
}

/** Each folder may be a mount. A file system that has the key keeps it. */
function addKey(folders: readonly string[], key: Buffer): string {
  const ids = folders.map((folder) => {
    try {
      return addFolderKey(folder, key);
    } catch (error) {
      throw cannotEncrypt(folder, error);
    }
  });
  return ids[0] ?? '';
}

function setPolicy(folder: string, keyId: string): void {
  try {
    setFolderPolicy(folder, keyId);
  } catch (error) {
    throw cannotEncrypt(folder, error);
  }
}

function cannotEncrypt(folder: string, cause: unknown): unknown {
  if (!(cause instanceof SystemCallError)) return cause;
  const remedy = remedyOf(folder, cause.errno);
  return remedy === undefined
    ? cause
    : new SoulBoxError('config_invalid', `SOULBOX_ENCRYPT_DISKS: ${folder} cannot be encrypted: ${remedy}`, { cause });
}

function remedyOf(folder: string, errno: number): string | undefined {
  if (errno === os.errno.ENOTTY) return `its file system has no such encryption; ext4 has. ${fullDisk}`;
  if (errno === os.errno.EOPNOTSUPP)
    return (
      'the feature `encrypt` of its file system is off. Enable it with `tune2fs -O encrypt DEVICE`, ' +
      `where \`findmnt --target ${folder}\` names the device. If the kernel has no CONFIG_FS_ENCRYPTION: ${fullDisk}`
    );
  if (errno === enopkg) return `the kernel has no AES-XTS, AES-CTS or SHA-512. ${fullDisk}`;
  return undefined;
}

/** asm-generic/errno.h; node:os has no name for it. */
const enopkg = 65;

async function lock(folders: readonly string[], keyId: string, logger: Logger): Promise<void> {
  for (const folder of folders) {
    try {
      await removeFolderKey(folder, keyId);
    } catch (err) {
      logger.warn({ err, folder }, 'the key of encrypted folders could not be taken from the kernel');
    }
  }
}
