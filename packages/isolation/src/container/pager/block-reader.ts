import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { openInPlace, placeOfBlock } from '@soulbox/keyring/blocks';
import type { BlockDigests } from '../../driver.ts';

/** Reads blocks of saved memory, encrypted or not. */
export interface BlockReader {
  /**
   * Puts a block into `buffer`, which has `blockBytes`; returns the number of its bytes. Returns undefined for a block
   * that does not match its digest or its nonce and tag. Throws if it cannot be read.
   */
  read(file: string, index: number, buffer: Buffer): number | undefined;
  close(): void;
}

/** `directory`: where the files are if they are not encrypted. */
export function createBlockReader(directory: string, { blockBytes, parts, sealed }: BlockDigests): BlockReader {
  const files = new Map<string, number>();
  const key = Buffer.from(sealed?.key ?? '', 'base64');

  const descriptorOf = (file: string): number => {
    let fd = files.get(file);
    if (fd === undefined) files.set(file, (fd = openSync(join(sealed?.directory ?? directory, file), 'r')));
    return fd;
  };
  const readBytes = (file: string, index: number, buffer: Buffer): number => {
    const fd = descriptorOf(file);
    let bytes = 0;
    for (let got = -1; got !== 0; bytes += got)
      got = readSync(fd, buffer, bytes, blockBytes - bytes, index * blockBytes + bytes);
    return bytes;
  };

  return {
    read(file, index, buffer) {
      const bytes = readBytes(file, index, buffer);
      const content = buffer.subarray(0, bytes);
      const wanted = parts[file]?.[index];
      if (sealed === undefined)
        return createHash('sha256').update(content).digest('hex') === wanted ? bytes : undefined;
      return openInPlace(key, placeOfBlock(sealed.checkpointId, file, index), content, wanted) ? bytes : undefined;
    },
    close() {
      for (const fd of files.values()) closeSync(fd);
      files.clear();
      key.fill(0);
    },
  };
}
