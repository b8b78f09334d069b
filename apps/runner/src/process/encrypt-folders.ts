import { randomBytes } from 'node:crypto';
import { lchown, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Secret, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { fileKeyringRecords } from '@soulbox/keyring';
import type { Keyring } from '@soulbox/keyring';
import { folderKeySize } from '@soulbox/linux/fscrypt';
import { giveKey, hasKey, setPolicy, takeKey, tryEntries } from './folder-keys.ts';
import { findFolder, isEncrypted, isFileSystemRoot } from './folder-policies.ts';
import type { FoundFolder } from './folder-policies.ts';
import { chooseLateFolders, removeLeftovers } from './late-folders.ts';

const place = { table: 'runner', row: 'disks', field: 'key', team: '' };

export interface EncryptFoldersOptions {
  /** Whether the operator wants it. A data folder that is encrypted stays so. */
  readonly isWanted: boolean;
  /** Absolute paths. Missing ones are created; they get the owner of their parent. */
  readonly folders: readonly string[];
  /**
   * More of them, of the services that the runner does not start. Earlier versions left these readable in an encrypted
   * data folder: there, one that has files stays so, with a warning.
   */
  readonly lateFolders?: readonly string[];
  /** A folder whose new entries are encrypted one by one. It must exist, and may be a mount. */
  readonly templates?: string | undefined;
  /** The file with the runner's data keys, which also has the key of the folders. */
  readonly keysFile: string;
  readonly keyring: Pick<Keyring, 'open' | 'seal'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/** The folders are encrypted, and the kernel has their key. */
export interface EncryptedFolders {
  /** Encrypts one more folder, which must be empty. */
  encrypt(folder: string): void;
  /** Takes the key from the kernel. No program may use the folders any more. Throws nothing. */
  lock(): Promise<void>;
  /** For a start that fails: takes the key from the kernel if it had none before. Throws nothing. */
  takeBack(): Promise<void>;
}

/**
 * Encrypts the folders by the kernel (fscrypt; decision 045) if it is wanted, and gives the kernel the key of folders
 * that are encrypted. Undefined: this server does not encrypt them. Throws `config_invalid` for a file system that
 * cannot, and for a folder with readable files, which would stay readable. Throws `master_key_missing` for a lost key.
 * After an error no file has changed, and the kernel has no other keys than before.
 */
export async function encryptFolders(options: EncryptFoldersOptions): Promise<EncryptedFolders | undefined> {
  const { folders, lateFolders = [], templates, keysFile, keyring, isWanted, logger } = options;
  const records = fileKeyringRecords(keysFile);
  const known = await records.findDiskKey();
  const before = await Promise.all(folders.map(findFolder));
  for (const found of before) refuseOtherKey(found, known?.keyId, keysFile);
  const late = await Promise.all(lateFolders.map(findFolder));
  const isOurs = [...before, ...late].some((found) => hasOurKey(found, known?.keyId));
  if (!isWanted && !isOurs) return undefined;
  for (const found of before) await refuseUnusable(found);
  if (!isOurs) for (const found of late) await refuseLate(found, known?.keyId, keysFile);
  const chosen = [...before, ...(isOurs ? await chooseLateFolders(late, known?.keyId, logger) : late)];
  for (const { folder, policy } of chosen) if (policy === undefined) await makeFolder(folder);

  const key = known === undefined ? randomBytes(folderKeySize) : await openKey(keyring, known.sealed);
  // Each folder may be a mount.
  const places = [...chosen.map(({ folder }) => folder), ...(templates === undefined ? [] : [templates])];
  const given = createGivenKeys(logger, known?.keyId);
  try {
    const keyId = given.add(places, key);
    if (templates !== undefined) await tryEntries(templates, keyId);
    // On the disk before the first folder is encrypted. From now on an older version refuses to start here.
    if (known === undefined) {
      const sealed = await keyring.seal(new Secret(key.toString('base64')), place);
      await records.addDiskKey({ keyId, sealed });
    }
    for (const { folder, policy } of chosen) if (!isEncrypted(policy)) setPolicy(folder, keyId);
    return {
      encrypt: (folder) => setPolicy(folder, keyId),
      lock: async () => await takeKey(places, keyId, logger),
      takeBack: async () => await given.takeBack(),
    };
  } catch (error) {
    await given.takeBack();
    throw error;
  } finally {
    key.fill(0);
  }
}

interface GivenKeys {
  /** Returns the identifier of the key. */
  add(folders: readonly string[], key: Buffer): string;
  takeBack(): Promise<void>;
}

/** File systems that had the key before keep it: sandboxes may run on them without their server. */
function createGivenKeys(logger: Pick<Logger, 'warn'>, knownId: string | undefined): GivenKeys {
  const given: string[] = [];
  let keyId = '';
  return {
    add(folders, key) {
      const had = folders.map((folder) => knownId !== undefined && hasKey(folder, knownId));
      for (const [index, folder] of folders.entries()) {
        keyId = giveKey(folder, key);
        if (had[index] !== true) given.push(folder);
      }
      return keyId;
    },
    takeBack: async () => await takeKey(given, keyId, logger),
  };
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

const hasOurKey = ({ policy, isOperators }: FoundFolder, keyId: string | undefined): boolean =>
  isEncrypted(policy) && !isOperators && policy.keyId === keyId;

/** For a data folder that is encrypted now: what a service has left there is no content. */
async function refuseLate(found: FoundFolder, keyId: string | undefined, keysFile: string): Promise<void> {
  refuseOtherKey(found, keyId, keysFile);
  if (typeof found.policy === 'object' && found.policy.kind === 'none') await removeLeftovers(found.folder);
  await refuseUnusable(found);
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
      `SOULBOX_ENCRYPT_DISKS: ${folder} must be a folder, not a link or a file. Put a folder, or a bind mount of one, in its place.`,
    );
  if (policy === undefined || isEncrypted(policy)) return;
  if (policy.kind === 'none' && (await isFileSystemRoot(folder)))
    throw new SoulBoxError(
      'config_invalid',
      `SOULBOX_ENCRYPT_DISKS: ${folder} is the root of a file system, which cannot be encrypted. Put a bind mount of a folder of that file system in its place.`,
    );
  if ((await readdir(folder)).length === 0) return;
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
