import type { Awaitable } from '@soulbox/fuse';

/**
 * Bytes of blocks, under names that are never used twice. A block grows and changes only until a copy of its volume
 * shares it. The metadata know which ones those are, and how many of the bytes count.
 */
export interface BlockStore {
  /** A name for a new block. */
  readonly newName: () => string;
  /** The end of the process does not undo it. Throws ENOSPC, EIO. */
  readonly write: (name: string, data: Uint8Array, offset: number) => Awaitable<void>;
  /** Fills `target`. Throws EIO if the block is missing or shorter. */
  readonly read: (name: string, target: Buffer, offset: number) => Awaitable<void>;
  /**
   * Bytes of a block that are in memory anyway, without a copy. They must not be changed. Absent, or undefined for what
   * `read` has to read.
   */
  readonly peek?: (name: string, offset: number, length: number) => Buffer | undefined;
  /** Makes a block of the first bytes of another one. */
  readonly copy: (from: string, to: string, length: number) => Promise<void>;
  /** Everything that was written before survives a crash of the host. */
  readonly sync: () => Promise<void>;
  /** Deletes blocks that no metadata name, on the disk neither. Never throws: a sweep finds what is left. */
  readonly remove: (names: readonly string[]) => Promise<void>;
  /** SHA-256 of the first bytes; undefined if the block is missing or shorter. */
  readonly digest: (name: string, length: number) => Promise<Uint8Array | undefined>;
  /** All blocks, with those that nothing refers to. */
  readonly list: () => AsyncIterable<ListedBlock>;
  /** Throws ENOSPC if the disk has no room for new data, while there still is some for deletes. */
  readonly checkRoom: (bytes: number) => void;
  /** Bytes that the disk has left for data. */
  readonly freeBytes: () => number;
  readonly close: () => void;
}

export interface ListedBlock {
  readonly name: string;
  readonly bytes: number;
  /** When it was written, or read if the file system notes that. Milliseconds. */
  readonly usedAtMs: number;
}
