/** Bytes that come in pieces. */
export interface ByteCollector {
  readonly size: number;
  /** False, and nothing is kept of it, when there would be more than the limit, or when the pieces are far too many. */
  add(piece: Uint8Array): boolean;
  bytes(): Buffer;
}

/** Each piece costs the event loop about 2 µs, however small it is. Who sends megabytes sends kilobytes at a time. */
const piecesMax = 65_536;

/**
 * Copies what comes into one buffer. A list of pieces costs what its sender likes: a hundred times the bytes, when each comes alone.
 */
export function createByteCollector(maxBytes: number): ByteCollector {
  let buffer = Buffer.alloc(0);
  let size = 0;
  let pieces = 0;
  return {
    get size() {
      return size;
    },
    add(piece) {
      const needed = size + piece.byteLength;
      pieces += 1;
      if (needed > maxBytes || pieces > piecesMax) return false;
      if (needed > buffer.length) {
        const larger = Buffer.alloc(Math.min(maxBytes, Math.max(needed, 2 * buffer.length)));
        buffer.copy(larger, 0, 0, size);
        buffer = larger;
      }
      buffer.set(piece, size);
      size = needed;
      return true;
    },
    bytes: () => buffer.subarray(0, size),
  };
}
