import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { keyBytes, nonceBytes, tagBytes } from '../gcm.ts';

/**
 * An encrypted blob, first format:
 *
 *     `soulbox blob 1\n\0` (16 bytes) | id of the root key (16) | salt (32) | blocks
 *
 * Each block is the ciphertext of 256 KiB, the last one of what is left, and a tag (16 bytes). Each blob has a key of
 * its own, derived from the key of its place and from the salt. A key encrypts each block number once, so the number is
 * the nonce, with a last byte that marks the last block (the STREAM construction of Hoang, Reyhanitabar, Rogaway and
 * Vizár, 2015). So blocks cannot be cut off, repeated or exchanged.
 */
const magic = Buffer.from('soulbox blob 1\n\0', 'latin1');
const rootIdBytes = 16;
const saltBytes = 32;
export const headerBytes = magic.length + rootIdBytes + saltBytes;
export const blockBytes = 256 * 1024;
export const storedBlockBytes = blockBytes + tagBytes;
/** The block number has 4 bytes in the nonce. */
const blocksMax = 2 ** 32;

/** The stores whose blobs are encrypted. A blob that is moved to another store cannot be opened there. */
export type SealedStore = 'uploads' | 'functions' | 'dependencies';

/** The key from which those of all blobs are derived. */
export interface RootKey {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly key: Uint8Array;
}

/** Where a blob is stored, and the key that opens whatever is stored there. */
export interface BlobPlace {
  readonly store: SealedStore;
  /** Its name in the store; that of an upload begins with the id of its team. */
  readonly key: string;
  readonly placeKey: Uint8Array;
  /** Id of the root key. Absent: not known here. */
  readonly rootId?: string;
}

function deriveKey(secret: Uint8Array, salt: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, salt, purpose, keyBytes));
}

export function placeOf(root: RootKey, store: SealedStore, key: string): BlobPlace {
  return {
    store,
    key,
    rootId: root.id,
    placeKey: deriveKey(root.key, Buffer.alloc(0), `soulbox blob place 1\0${store}\0${key}`),
  };
}

export function newHeader(root: RootKey): Buffer {
  return Buffer.concat([magic, Buffer.from(root.id, 'hex'), randomBytes(saltBytes)]);
}

/** Whether a blob that begins with these bytes is encrypted. */
export function isSealedHead(head: Uint8Array): boolean {
  return magic.equals(head.subarray(0, magic.length));
}

/** The id of the root key of an encrypted blob. Not authenticated. */
export function rootIdOf(head: Uint8Array): string {
  return Buffer.from(head.subarray(magic.length, magic.length + rootIdBytes)).toString('hex');
}

/** Encrypts or decrypts the blocks of one blob. */
export interface BlockCipher {
  /** Returns ciphertext and tag. */
  seal(bytes: Uint8Array, index: number, isLast: boolean): Buffer;
  /** Throws `state_damaged` for bytes that are not this block of this blob. */
  open(bytes: Uint8Array, index: number, isLast: boolean): Buffer;
}

/** `header` is that of the blob, with its salt. Throws `state_damaged` for a header that is none. */
export function blockCipher(place: BlobPlace, header: Uint8Array): BlockCipher {
  if (header.length !== headerBytes || !isSealedHead(header)) throw damagedBlob(place);
  if (place.rootId !== undefined && rootIdOf(header) !== place.rootId) throw foreignBlob(place, rootIdOf(header));
  const key = deriveKey(place.placeKey, header.subarray(-saltBytes), 'soulbox blob 1');
  const associated = (index: number): Buffer =>
    Buffer.concat([header, Buffer.from(`\0${place.store}\0${place.key}\0${index}`, 'utf8')]);
  return {
    seal(bytes, index, isLast) {
      if (index >= blocksMax) throw new SoulBoxError('bad_request', `The blob ${place.key} is too large.`);
      const options = { authTagLength: tagBytes };
      const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index, isLast), options).setAAD(associated(index));
      return Buffer.concat([cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
    },
    open(bytes, index, isLast) {
      if (bytes.length < tagBytes || index >= blocksMax) throw damagedBlob(place);
      const options = { authTagLength: tagBytes };
      const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(index, isLast), options)
        .setAAD(associated(index))
        .setAuthTag(bytes.subarray(-tagBytes));
      const plain = decipher.update(bytes.subarray(0, -tagBytes));
      try {
        decipher.final();
      } catch (cause) {
        plain.fill(0);
        throw damagedBlob(place, cause);
      }
      return plain;
    },
  };
}

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(nonceBytes);
  nonce.writeUInt32BE(index, nonceBytes - 5);
  nonce[nonceBytes - 1] = isLast ? 1 : 0;
  return nonce;
}

/** The size of the content of a blob whose file has `storedBytes`. */
export function contentBytes(storedBytes: number): number {
  const body = Math.max(storedBytes - headerBytes, 0);
  return Math.max(body - Math.ceil(body / storedBlockBytes) * tagBytes, 0);
}

export function damagedBlob({ store, key }: Pick<BlobPlace, 'store' | 'key'>, cause?: unknown): SoulBoxError {
  return new SoulBoxError(
    'state_damaged',
    `The blob ${key} of the ${store} cannot be decrypted: it is damaged, readable, or belongs elsewhere.`,
    { cause },
  );
}

function foreignBlob({ store, key, rootId }: BlobPlace, found: string): SoulBoxError {
  return new SoulBoxError(
    'state_damaged',
    `The blob ${key} of the ${store} was encrypted with the root key ${found}, but the records have the root key ${String(rootId)}. It belongs to other records.`,
  );
}
