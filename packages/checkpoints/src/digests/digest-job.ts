import { hash } from 'node:crypto';

/** Bytes that one digest covers, in checkpoints, layers and disks alike. */
export const blockBytes = 1024 * 1024;

/** What a background thread (digest-worker.mjs) is asked to do with one file. It follows no link. */
export type DigestJob = DigestRange | FindData;

/** SHA-256, in hexadecimal, of each block in a range of bytes. */
interface DigestRange {
  readonly kind: 'digest';
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly blockBytes: number;
  /** Also asks the kernel to begin writing the range to the disk, without waiting. */
  readonly writeBack: boolean;
}

/** The numbers of the blocks that are not all hole, from the file system's own map. */
interface FindData {
  readonly kind: 'find-data';
  readonly path: string;
  readonly blockBytes: number;
}

export type DigestResult = readonly string[] | readonly number[];

/** How a thread answers. An error crosses as its message and errno name. */
export type DigestAnswer =
  | { readonly ok: true; readonly result: DigestResult }
  | { readonly ok: false; readonly message: string; readonly code: string | undefined };

export const blockCountOf = (sizeBytes: number): number => Math.ceil(sizeBytes / blockBytes);

/** The last block of a file may be shorter than the others. */
export const blockLength = (block: number, sizeBytes: number): number =>
  Math.min(blockBytes, sizeBytes - block * blockBytes);

const zeroDigests = new Map<number, string>();

/** SHA-256 of `length` zero bytes, `length` at most a block. */
export function digestOfZeros(length: number): string {
  const known = zeroDigests.get(length) ?? hash('sha256', Buffer.alloc(length));
  zeroDigests.set(length, known);
  return known;
}
