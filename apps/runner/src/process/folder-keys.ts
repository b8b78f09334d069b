import { mkdtemp, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { constants as os } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { addFolderKey, hasFolderKey, removeFolderKey, setFolderPolicy } from '@soulbox/linux/fscrypt';
import type { KeyRemoval } from '@soulbox/linux/fscrypt';
import { SystemCallError } from '@soulbox/linux/libc';

/** The kernel lets go of the loop devices of sandboxes a moment after they have ended. */
const inUseTimeoutMs = 2000;
/** The kernel logs a line each time. */
const retryMs = 250;

const fullDisk =
  'Use full-disk encryption (LUKS) there instead, and set SOULBOX_ENCRYPT_DISKS=false (docs/secrets.md).';

const elsewhere =
  'Or set SOULBOX_TEMPLATES_DIR to a folder outside of the data folder; templates there are not encrypted.';

/** Gives the file system of the folder the key, and returns its identifier. Throws `config_invalid` if it cannot. */
export function giveKey(folder: string, key: Buffer): string {
  try {
    return addFolderKey(folder, key);
  } catch (error) {
    throw cannotEncrypt(folder, error);
  }
}

/** A file system that cannot encrypt has no key. */
export function hasKey(folder: string, keyId: string): boolean {
  try {
    return hasFolderKey(folder, keyId);
  } catch (error) {
    if (error instanceof SystemCallError) return false;
    throw error;
  }
}

/** Encrypts an empty folder. Throws `config_invalid` if that is impossible. */
export function setPolicy(folder: string, keyId: string): void {
  try {
    setFolderPolicy(folder, keyId);
  } catch (error) {
    throw cannotEncrypt(folder, error);
  }
}

/** Throws `config_invalid` if new folders in this one cannot be encrypted. */
export async function tryEntries(folder: string, keyId: string): Promise<void> {
  // If this process is killed, the store of templates removes it as an unfinished template.
  const entry = await mkdtemp(join(folder, '.building-try-'));
  try {
    setFolderPolicy(entry, keyId);
    // Root may set a policy without the key.
    await writeFile(join(entry, 'file'), '');
    await unlink(join(entry, 'file'));
  } catch (error) {
    throw cannotEncrypt(folder, error);
  } finally {
    await rmdir(entry);
  }
}

/**
 * Takes the key from the file systems of these folders. Waits some seconds for files that are in use. Logs what is left,
 * and throws nothing.
 */
export async function takeKey(folders: readonly string[], keyId: string, logger: Pick<Logger, 'warn'>): Promise<void> {
  const seen = new Set<number>();
  for (const folder of folders) {
    try {
      const [own, above] = await Promise.all([stat(folder), stat(dirname(folder))]);
      if (seen.has(own.dev)) continue;
      seen.add(own.dev);
      // An encrypted folder that is open for the call would be in use itself. The one above is not encrypted.
      const removal = await removeWhenFree(own.dev === above.dev ? dirname(folder) : folder, keyId);
      if (removal === 'in_use')
        logger.warn({ folder }, 'encrypted files are in use: the kernel keeps their keys until the disk is unmounted');
      if (removal === 'other_users')
        logger.warn({ folder }, 'another user of the host has added the key of encrypted folders: the kernel keeps it');
    } catch (err) {
      logger.warn({ err, folder }, 'the key of encrypted folders could not be taken from the kernel');
    }
  }
}

async function removeWhenFree(folder: string, keyId: string): Promise<KeyRemoval> {
  const deadline = performance.now() + inUseTimeoutMs;
  for (;;) {
    const removal = await removeFolderKey(folder, keyId);
    if (removal !== 'in_use' || performance.now() > deadline) return removal;
    await sleep(retryMs);
  }
}

function cannotEncrypt(folder: string, cause: unknown): unknown {
  if (!(cause instanceof SystemCallError)) return cause;
  const remedy = remedyOf(folder, cause.errno);
  if (remedy === undefined) return cause;
  const other = basename(folder) === 'templates' ? ` ${elsewhere}` : '';
  const message = `SOULBOX_ENCRYPT_DISKS: ${folder} cannot be encrypted: ${remedy}${other}`;
  return new SoulBoxError('config_invalid', message, { cause });
}

function remedyOf(folder: string, errno: number): string | undefined {
  if (errno === os.errno.ENOTTY) return `its file system has no such encryption; ext4 has. ${fullDisk}`;
  if (errno === os.errno.EOPNOTSUPP)
    return (
      'the feature `encrypt` of its file system is off. Enable it with `tune2fs -O encrypt DEVICE`, ' +
      `where \`findmnt --target ${folder}\` names the device. If the kernel has no CONFIG_FS_ENCRYPTION: ${fullDisk}`
    );
  if (errno === enopkg) return `the kernel has no AES-XTS, AES-CTS or SHA-512. ${fullDisk}`;
  if (errno === os.errno.EEXIST) return 'it is in a folder that is encrypted with another key.';
  return undefined;
}

/** asm-generic/errno.h; node:os has no name for it. */
const enopkg = 65;
