import { SoulBoxError } from '@soulbox/base';

/** Reads a stream in parts of wanted sizes. */
export interface ByteSource {
  /** Up to `max` bytes as they come, at least one. Undefined at the end. */
  readSome(max: number): Promise<Uint8Array | undefined>;
  /** Exactly so many bytes, in one buffer: for small sizes. Throws when the stream ends before. */
  readExactly(size: number): Promise<Buffer>;
  /** The same without keeping them. */
  skip(size: number): Promise<void>;
}

export function createByteSource(stream: AsyncIterable<Uint8Array>): ByteSource {
  const iterator = stream[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();

  async function readSome(max: number): Promise<Uint8Array | undefined> {
    while (rest.length === 0) {
      const next = await iterator.next();
      if (next.done === true) return undefined;
      rest = next.value;
    }
    const piece = rest.subarray(0, max);
    rest = rest.subarray(piece.length);
    return piece;
  }

  async function readEach(size: number, onPiece: (piece: Uint8Array, at: number) => void): Promise<void> {
    for (let at = 0; at < size;) {
      const piece = await readSome(size - at);
      if (piece === undefined) throw cutOff();
      onPiece(piece, at);
      at += piece.length;
    }
  }

  return {
    readSome,
    async readExactly(size) {
      const bytes = Buffer.alloc(size);
      await readEach(size, (piece, at) => bytes.set(piece, at));
      return bytes;
    },
    skip: async (size) => await readEach(size, () => undefined),
  };
}

export function cutOff(): SoulBoxError {
  return new SoulBoxError('sandbox_unreachable', 'The copy ended before it was complete.');
}
