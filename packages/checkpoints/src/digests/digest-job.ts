import { hash } from 'node:crypto';

/** Bytes that one digest covers, in checkpoints, layers and disks. */
export const blockBytes = 1024 * 1024;

/** A job for a background thread (digest-worker.mjs) about one file. The thread follows no link. */
export type DigestJob = DigestRange | FindData | EncryptRange | DecryptRange;

/** SHA-256, in hexadecimal, of each block in a range of bytes. */
interface DigestRange {
  readonly kind: 'digest';
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly blockBytes: number;
  /** Also tells the kernel to start writing the range to the disk, without waiting. */
  readonly writeBack: boolean;
}

/** Finds the numbers of the blocks that are not completely holes, from the file system's own map. */
interface FindData {
  readonly kind: 'find-data';
  readonly path: string;
  readonly blockBytes: number;
}

/**
 * Encrypts each block in a range of bytes into the same place of `target`, by AES-256-GCM under a random nonce. Gives
 * `Encrypted`. With `punch`, the blocks of `path` are freed then.
 */
interface EncryptRange extends CipherRange {
  readonly kind: 'encrypt';
  readonly punch: boolean;
  /** The file is refused if it has another one: it was replaced, and nothing of it may be freed. */
  readonly inode: number | undefined;
}

/**
 * The reverse. Writes only blocks that match their nonce, tag and place. Gives the indexes in the range of those that do
 * not.
 */
interface DecryptRange extends CipherRange {
  readonly kind: 'decrypt';
  /** Nonce and tag of each block. */
  readonly seals: readonly string[];
  /** Permissions of `target`, whatever the umask is. Absent: they stay, or are 0600 if it is new. */
  readonly mode?: number;
}

interface CipherRange {
  readonly path: string;
  readonly target: string;
  readonly offset: number;
  readonly length: number;
  readonly blockBytes: number;
  readonly key: Uint8Array;
  /** The associated data of each block. */
  readonly places: readonly Uint8Array[];
}

/** The message after which a thread ends. */
export const endOfThread = 'end';

/** The result of encrypting blocks. */
export interface Encrypted {
  /** Nonce and tag of each block, in hexadecimal. */
  readonly seals: readonly string[];
  /** Whether the encrypted blocks are holes now. A file system may be unable to free them. */
  readonly isFreed: boolean;
}

interface Results {
  readonly digest: readonly string[];
  readonly 'find-data': readonly number[];
  readonly encrypt: Encrypted;
  readonly decrypt: readonly number[];
}

export type DigestResult<Kind extends DigestJob['kind'] = DigestJob['kind']> = Results[Kind];

/** The answer of a thread to each job of a message. An error is passed as its message and errno name. */
export type DigestAnswer =
  | { readonly ok: true; readonly result: DigestResult }
  | { readonly ok: false; readonly message: string; readonly code: string | undefined };

export const blockCountOf = (sizeBytes: number): number => Math.ceil(sizeBytes / blockBytes);

/** The last block of a file may be shorter than the others. */
export const blockLength = (block: number, sizeBytes: number): number =>
  Math.min(blockBytes, sizeBytes - block * blockBytes);

const zeroDigests = new Map<number, string>();

/** SHA-256 of `length` zero bytes. `length` is at most a block. */
export function digestOfZeros(length: number): string {
  const known = zeroDigests.get(length) ?? hash('sha256', Buffer.alloc(length));
  zeroDigests.set(length, known);
  return known;
}
