import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { BlockDigests } from '../../driver.ts';
import type { Block } from './missing-memory.ts';

/** A part of the saved memory has changed since it was saved. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError';
}

/**
 * The pages files of an image, read block by block. One block is in memory at a time, so memory is bounded whatever the
 * image's size. No byte of a block is visible before its digest has matched.
 */
export class VerifiedPages {
  readonly #directory: string;
  readonly #digests: BlockDigests;
  readonly #buffer: Buffer;
  readonly #files = new Map<string, number>();
  #held: Block | undefined;
  #heldBytes = 0;

  constructor(directory: string, digests: BlockDigests) {
    this.#directory = directory;
    this.#digests = digests;
    this.#buffer = Buffer.alloc(digests.blockBytes);
  }

  /** The memory with the loaded block. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Loads a block into `buffer`; returns the number of its bytes. Throws DamagedError. */
  hold(block: Block): number {
    if (this.#held === block) return this.#heldBytes;
    this.#held = undefined;
    const bytes = this.#read(block);
    const digest = createHash('sha256').update(this.#buffer.subarray(0, bytes)).digest('hex');
    const wanted = this.#digests.parts[block.file]?.[block.index];
    if (digest !== wanted) throw new DamagedError(`Block ${block.index} of ${block.file} does not match its digest.`);
    this.#held = block;
    this.#heldBytes = bytes;
    return bytes;
  }

  close(): void {
    for (const fd of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }

  #read(block: Block): number {
    try {
      const fd = this.#open(block.file);
      const position = block.index * this.#buffer.length;
      let bytes = 0;
      for (let got = -1; got !== 0; bytes += got)
        got = readSync(fd, this.#buffer, bytes, this.#buffer.length - bytes, position + bytes);
      return bytes;
    } catch (error) {
      throw new DamagedError(`Block ${block.index} of ${block.file} cannot be read.`, { cause: error });
    }
  }

  #open(file: string): number {
    let fd = this.#files.get(file);
    if (fd === undefined) this.#files.set(file, (fd = openSync(join(this.#directory, file), 'r')));
    return fd;
  }
}
