import { hkdfSync, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';

const keyForm = /^[0-9a-f]{64}\n?$/;

/** The content of a new key file: 32 random bytes in hexadecimal form, and a line feed. */
export function createStorageKey(): string {
  return `${randomBytes(32).toString('hex')}\n`;
}

/**
 * Reads the key under which everything in the object store is encrypted. Throws `config_invalid` for a file that others
 * may read, and for one that is no key.
 */
export async function readStorageKey(path: string): Promise<Buffer> {
  const invalid = (why: string, cause?: unknown): SoulBoxError =>
    new SoulBoxError('config_invalid', `The storage key file ${path} ${why}.`, { cause });
  try {
    await using file = await open(path);
    const facts = await file.stat();
    if (!facts.isFile() || facts.size > 65)
      throw invalid('is not what "soulbox storage key" prints: 64 hexadecimal digits');
    if ((facts.mode & 0o077) !== 0) throw invalid('can be read by other users: set its mode to 0600');
    const text = await file.readFile('utf8');
    if (keyForm.test(text)) return Buffer.from(text.trim(), 'hex');
  } catch (error) {
    throw error instanceof SoulBoxError ? error : invalid('cannot be read', error);
  }
  throw invalid('is not what "soulbox storage key" prints: 64 hexadecimal digits');
}

/** Who encrypts with a key. None of them gets a key that decrypts what another one has uploaded. */
export type StorageRole = 'runner' | 'control' | 'volumes' | 'owner';

/** The key of a part of the server, derived from the storage key. */
export function keyOfRole(storageKey: Uint8Array, role: StorageRole): Buffer {
  return derive(storageKey, '', `soulbox storage ${role} 1`);
}

/** Each parcel has its own key, so that random nonces never come near their limit. */
export function keyOfParcel(roleKey: Uint8Array, uploadId: string): Buffer {
  return derive(roleKey, uploadId, 'soulbox parcel 1');
}

/** So has each pack with data of volumes. */
export function keyOfPack(volumesKey: Uint8Array, pack: string): Buffer {
  return derive(volumesKey, pack, 'soulbox volume pack 1');
}

function derive(key: Uint8Array, salt: string, info: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, 32));
}
