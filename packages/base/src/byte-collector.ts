/** Collects bytes that arrive in pieces. */
export interface ByteCollector {
  readonly size: number;
  /**
   * Returns false and keeps nothing of the piece if the total would exceed the limit or there are far too many pieces.
   */
  add(piece: Uint8Array): boolean;
  bytes(): Buffer;
}

/**
 * Each piece costs the event loop about 2 µs, however small it is. A normal sender of megabytes sends kilobytes at a
 * time.
 */
const piecesMax = 65_536;

/**
 * Copies all pieces into one buffer. With a list of pieces the sender would decide how much memory they take: pieces of
 * one byte need a hundred times their size.
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
