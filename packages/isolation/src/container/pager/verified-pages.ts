import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { BlockDigests } from '../../driver.ts';
import type { Block } from './missing-memory.ts';

/** A part of the saved memory has changed since it was saved. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError';
}

export interface VerifiedPages {
  /** The memory with the loaded block. */
  readonly buffer: Buffer;
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
  const files = new Map<string, number>();
  let held: Block | undefined;
  let heldBytes = 0;

  const open = (file: string): number => {
    let fd = files.get(file);
    if (fd === undefined) files.set(file, (fd = openSync(join(directory, file), 'r')));
    return fd;
  };
  const read = (block: Block): number => {
    try {
      const fd = open(block.file);
      const position = block.index * buffer.length;
      let bytes = 0;
      for (let got = -1; got !== 0; bytes += got)
        got = readSync(fd, buffer, bytes, buffer.length - bytes, position + bytes);
      return bytes;
    } catch (error) {
      throw new DamagedError(`Block ${block.index} of ${block.file} cannot be read.`, { cause: error });
    }
  };

  return {
    buffer,
    hold(block) {
      if (held === block) return heldBytes;
      held = undefined;
      const bytes = read(block);
      const digest = createHash('sha256').update(buffer.subarray(0, bytes)).digest('hex');
      const wanted = digests.parts[block.file]?.[block.index];
      if (digest !== wanted) throw new DamagedError(`Block ${block.index} of ${block.file} does not match its digest.`);
      held = block;
      heldBytes = bytes;
      return bytes;
    },
    close() {
      for (const fd of files.values()) closeSync(fd);
      files.clear();
    },
  };
}
