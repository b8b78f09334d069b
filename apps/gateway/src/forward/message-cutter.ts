/**
 * The head of a Connect message: one byte of flags, four bytes of length, then the message
 * (connectrpc.com/docs/protocol, streaming).
 */
const headBytes = 5;
/** envd reads a pipe of 64 KiB at once, which becomes 86 KiB in base64. */
export const heldMessageMaxBytes = 256 * 1024;

/**
 * Passes on a stream of Connect messages only in complete messages, so that the gateway can append a last one at any
 * moment. It only examines their lengths. A message longer than ours is passed on as it arrives.
 */
export interface MessageCutter {
  /** Returns the parts of this chunk, and of data held before, that can be sent now. */
  take(chunk: Buffer): Uint8Array[];
  /** Whether the sent data ends at the end of a message. */
  isBetween(): boolean;
  /** The memory for an incomplete message. */
  heldBytes(): number;
  /** The data still held, for an answer that ends in the middle of a message. */
  rest(): Uint8Array;
}

export function createMessageCutter(): MessageCutter {
  /** Room for a message, or for its head while its length is unknown. */
  let held = Buffer.alloc(0);
  let heldLength = 0;
  /** The remaining bytes of a long message. */
  let passing = 0;

  /** Copies the missing bytes of the held part from the chunk. Returns their number. */
  const fill = (chunk: Buffer, from: number): number => {
    const copied = chunk.copy(held, heldLength, from);
    heldLength += copied;
    return copied;
  };
  const release = (): Uint8Array => {
    const whole = held;
    held = Buffer.alloc(0);
    heldLength = 0;
    return whole;
  };

  return {
    take(chunk) {
      const out: Uint8Array[] = [];
      let at = 0;
      while (at < chunk.length) {
        if (passing > 0) {
          const end = Math.min(chunk.length, at + passing);
          out.push(chunk.subarray(at, end));
          passing -= end - at;
          at = end;
        } else if (heldLength === 0) {
          const end = endOfWhole(chunk, at);
          if (end > at) out.push(chunk.subarray(at, end));
          at = end;
          held = Buffer.allocUnsafe(headBytes);
          at += fill(chunk, at);
        } else at += fill(chunk, at);
        if (heldLength < held.length || heldLength === 0) continue;
        const total = headBytes + held.readUInt32BE(1);
        if (total === held.length) out.push(release());
        else if (total > headBytes + heldMessageMaxBytes) {
          out.push(release());
          passing = total - headBytes;
        } else {
          const head = held;
          held = Buffer.allocUnsafe(total);
          held.set(head);
        }
      }
      return out;
    },
    isBetween: () => passing === 0,
    heldBytes: () => held.length,
    rest: () => held.subarray(0, heldLength),
  };
}

/** The position where the last complete message in the chunk ends. */
function endOfWhole(chunk: Buffer, from: number): number {
  let end = from;
  while (chunk.length - end >= headBytes) {
    const next = end + headBytes + chunk.readUInt32BE(end + 1);
    if (next > chunk.length) break;
    end = next;
  }
  return end;
}
