import { SoulBoxError } from '@soulbox/base';

/** Takes the files of a parcel out of its content, one after the other, in constant memory. */
export interface ContentCutter {
  /**
   * The next bytes. They must be read before those of the next call; what is not read is skipped, and not fetched if
   * nothing after it is read. Throws `storage_damaged` if the content ends before.
   */
  next(sizeBytes: number): AsyncGenerator<Buffer>;
}

export function cutContent(content: AsyncGenerator<Buffer>): ContentCutter {
  let rest: Buffer = Buffer.alloc(0);
  let [position, given] = [0, 0];
  async function* cut(start: number, end: number): AsyncGenerator<Buffer> {
    while (position < end && start < end) {
      if (rest.length === 0) {
        const read = await content.next();
        if (read.done === true)
          throw new SoulBoxError('storage_damaged', 'A parcel in the store is shorter than its list of files says.');
        rest = read.value;
      }
      const isBefore = position < start;
      const piece = rest.subarray(0, (isBefore ? start : end) - position);
      rest = rest.subarray(piece.length);
      position += piece.length;
      if (!isBefore) yield piece;
    }
  }
  return {
    next(sizeBytes) {
      const start = given;
      given += sizeBytes;
      return cut(start, given);
    },
  };
}
