const blockBytes = 16 * 1024;
const noBytes = Buffer.alloc(0);
const zeros = Buffer.alloc(blockBytes);

/** The bytes of a file, with holes: only blocks that were written take memory. */
export interface Content {
  readonly size: () => number;
  readonly allocatedBytes: () => number;
  readonly read: (offset: number, length: number) => Uint8Array[];
  /** How many bytes `write` would newly take. */
  readonly missingBytes: (offset: number, length: number) => number;
  readonly write: (offset: number, data: Buffer) => void;
  readonly resize: (size: number) => void;
  readonly punch: (offset: number, length: number) => void;
  /** The next offset with data, or of a hole; `undefined` if there is none before the end. */
  readonly seekData: (offset: number) => number | undefined;
  readonly seekHole: (offset: number) => number;
}

const indexOf = (offset: number): number => Math.floor(offset / blockBytes);

export function createContent(): Content {
  const blocks = new Map<number, Buffer>();

  let size = 0;

  /** Calls `visit` with the part of each existing block in the range, however far the range goes. */
  function eachIn(offset: number, end: number, visit: (index: number, from: number, to: number) => void): void {
    const first = indexOf(offset);
    const last = indexOf(end - 1);
    const indexes = last - first < blocks.size ? range(first, last) : [...blocks.keys()];
    for (const index of indexes) {
      if (index < first || index > last || !blocks.has(index)) continue;
      const start = index * blockBytes;
      visit(index, Math.max(offset - start, 0), Math.min(end - start, blockBytes));
    }
  }

  const punch = (offset: number, length: number): void => {
    if (length <= 0) return;
    eachIn(offset, offset + length, (index, from, to) => {
      if (from === 0 && to === blockBytes) blocks.delete(index);
      else blocks.get(index)?.fill(0, from, to);
    });
  };

  return {
    size: () => size,
    allocatedBytes: () => blocks.size * blockBytes,
    read: (offset, length) => {
      const end = Math.min(offset + length, size);
      const pieces: Uint8Array[] = [];
      for (let at = offset; at < end;) {
        const index = indexOf(at);
        const from = at - index * blockBytes;
        const to = Math.min(end - index * blockBytes, blockBytes);
        pieces.push((blocks.get(index) ?? zeros).subarray(from, to));
        at = index * blockBytes + to;
      }
      return pieces.length === 0 ? [noBytes] : pieces;
    },
    missingBytes: (offset, length) => {
      let missing = 0;
      for (const index of range(indexOf(offset), indexOf(offset + Math.max(length, 1) - 1))) {
        if (!blocks.has(index)) missing += blockBytes;
      }
      return missing;
    },
    write: (offset, data) => {
      for (let done = 0; done < data.length;) {
        const index = indexOf(offset + done);
        let block = blocks.get(index);
        if (block === undefined) blocks.set(index, (block = Buffer.alloc(blockBytes)));
        done += data.copy(block, offset + done - index * blockBytes, done);
      }
      size = Math.max(size, offset + data.length);
    },
    resize: (newSize) => {
      // Also behind the end: what a later growth shows must be zeros.
      if (newSize < size) punch(newSize, Math.ceil(size / blockBytes + 1) * blockBytes - newSize);
      size = newSize;
    },
    punch,
    seekData: (offset) => {
      if (blocks.has(indexOf(offset))) return offset;
      let next: number | undefined;
      for (const index of blocks.keys()) {
        const start = index * blockBytes;
        if (start > offset && start < size && (next === undefined || start < next)) next = start;
      }
      return next;
    },
    seekHole: (offset) => {
      let index = indexOf(offset);
      if (!blocks.has(index)) return offset;
      while (blocks.has(index)) index += 1;
      return Math.min(index * blockBytes, size);
    },
  };
}

function* range(first: number, last: number): Generator<number> {
  for (let index = first; index <= last; index += 1) yield index;
}
