import type { BlockDigests } from '../../driver.ts';
import { createArrivals } from './arrivals.ts';
import { createBlockReader } from './block-reader.ts';
import type { Block } from './missing-memory.ts';

/** A part of the saved memory has changed since it was saved. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError';
}

export interface VerifiedPages {
  /** The memory with the loaded block. */
  readonly buffer: Buffer;
  /** Learns which blocks have arrived. Until the next call the others count as missing. */
  refresh(): void;
  /** Whether it can be loaded. Throws DamagedError if it never will be. */
  isThere(block: Block): boolean;
  /** The same, and has it fetched before others if it is missing. */
  request(block: Block): boolean;
  /** Loads a block into `buffer`; returns the number of its bytes. Throws DamagedError. */
  hold(block: Block): number;
  close(): void;
}

/**
 * The pages files of an image, read block by block. One block is in memory at a time, so memory is bounded whatever the
 * image's size. No byte of a block is visible before its digest has matched.
 */
export function createVerifiedPages(directory: string, digests: BlockDigests): VerifiedPages {
  const buffer = Buffer.alloc(digests.blockBytes);
  const reader = createBlockReader(directory, digests);
  const arrivals = createArrivals(digests.arriving);
  let held: Block | undefined;
  let heldBytes = 0;

  const read = ({ file, index }: Block): number | undefined => {
    try {
      return reader.read(file, index, buffer);
    } catch (error) {
      throw new DamagedError(`Block ${index} of ${file} cannot be read.`, { cause: error });
    }
  };

  const isThere = ({ file, index }: Block): boolean => {
    const arrival = arrivals.arrivalOf(file, index);
    if (arrival === 'damaged') throw new DamagedError(`Block ${index} of ${file} was damaged in the object store.`);
    return arrival === 'there';
  };

  return {
    buffer,
    refresh: () => arrivals.refresh(),
    isThere,
    request(block) {
      if (isThere(block)) return true;
      arrivals.want(block.file, block.index);
      return false;
    },
    hold(block) {
      if (held === block) return heldBytes;
      held = undefined;
      const bytes = read(block);
      if (bytes === undefined)
        throw new DamagedError(`Block ${block.index} of ${block.file} does not match its digest.`);
      held = block;
      heldBytes = bytes;
      return bytes;
    },
    close() {
      reader.close();
      arrivals.close();
    },
  };
}
