import { hash } from 'node:crypto';

/** Bytes that one digest covers, in checkpoints, layers and disks. */
export const blockBytes = 1024 * 1024;

/** A job for a background thread (digest-worker.mjs) about one file. The thread follows no link. */
export type DigestJob = DigestRange | FindData;

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

/** The message after which a thread ends. */
export const endOfThread = 'end';

export type DigestResult = readonly string[] | readonly number[];

/** The answer of a thread. An error is passed as its message and errno name. */
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
