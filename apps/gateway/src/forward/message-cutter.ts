/** Connect's frame: one byte of flags, the length in four, then the message (connectrpc.com/docs/protocol, streaming). */
const headBytes = 5;
/** envd reads a pipe of 64 KiB at once, which base64 makes 86 KiB. */
export const heldMessageMaxBytes = 256 * 1024;

/**
 * Passes a stream of Connect's messages on whole ones at a time, so that the gateway can put a last one behind them at any moment. It
 * looks at their lengths only. A longer message than ours is passed on as it comes.
 */
export interface MessageCutter {
  /** What of it, and of what was held before, can go out now. */
  take(chunk: Buffer): Uint8Array[];
  /** Whether what went out ends with a message. */
  isBetween(): boolean;
  /** Memory for a message that is not there as a whole. */
  heldBytes(): number;
  /** What is held still, for an answer that ends in the middle of a message. */
  rest(): Uint8Array;
}

export function createMessageCutter(): MessageCutter {
  /** Room for a message, or for its head while its length is not known. */
  let held = Buffer.alloc(0);
  let heldLength = 0;
  /** Bytes of a long message that are still to come. */
  let passing = 0;

  /** Takes what is missing of the held part from the chunk; gives how much that was. */
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
        } else held = Buffer.concat([held], total);
      }
      return out;
    },
    isBetween: () => passing === 0,
    heldBytes: () => held.length,
    rest: () => held.subarray(0, heldLength),
  };
}

/** Where the last message ends that is in the chunk as a whole. */
function endOfWhole(chunk: Buffer, from: number): number {
  let end = from;
  while (chunk.length - end >= headBytes) {
    const next = end + headBytes + chunk.readUInt32BE(end + 1);
    if (next > chunk.length) break;
    end = next;
  }
  return end;
}
