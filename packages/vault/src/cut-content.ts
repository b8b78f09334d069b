import { SoulBoxError } from '@soulbox/base';

/** Takes the files of a parcel out of its content, one after the other, in constant memory. */
export interface ContentCutter {
  /**
   * The next bytes. They must be read to their end before the next call. Throws `storage_damaged` if the content ends
   * before.
   */
  next(sizeBytes: number): AsyncGenerator<Buffer>;
}

export function cutContent(content: AsyncGenerator<Buffer>): ContentCutter {
  let rest: Buffer = Buffer.alloc(0);
  return {
    async *next(sizeBytes) {
      for (let left = sizeBytes; left > 0;) {
        if (rest.length === 0) {
          const read = await content.next();
          if (read.done === true)
            throw new SoulBoxError('storage_damaged', 'A parcel in the store is shorter than its list of files says.');
          rest = read.value;
        }
        const piece = rest.subarray(0, left);
        rest = rest.subarray(piece.length);
        left -= piece.length;
        yield piece;
      }
    },
  };
}
