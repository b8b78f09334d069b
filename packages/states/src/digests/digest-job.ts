import { hash } from 'node:crypto';

/** Bytes that one digest covers, in states, layers and disks alike. */
export const blockBytes = 1024 * 1024;

/**
 * What a background thread is asked to do with one file. Neither follows a link.
 *
 * - `digest`: SHA-256, in hexadecimal, of the blocks `first` to `first + count - 1` of a file of `sizeBytes`.
 *   `writeBack` also asks the kernel to begin writing those bytes to the disk, without waiting.
 * - `find-data`: the numbers of the blocks that are not all hole, from the file system's own map.
 */
export type DigestJob =
  | {
      readonly kind: 'digest';
      readonly path: string;
      readonly first: number;
      readonly count: number;
      readonly sizeBytes: number;
      readonly writeBack: boolean;
    }
  | { readonly kind: 'find-data'; readonly path: string };

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
