/** Limit of one message, which must be held in memory as a whole. A connection that sends a longer one is closed. */
const maxMessageBytes = 64 * 1024 * 1024;

const greetingBytes = 64;
export const flags = { more: 1, long: 2, command: 4 } as const;

/** Signature, version 3.0, mechanism padded to 20 bytes, role client. */
export function greeting(): Buffer {
  const bytes = Buffer.alloc(greetingBytes);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes.write('NULL', 12);
  return bytes;
}

export function readyCommand(type: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return Buffer.concat([Buffer.from('\x05READY\x0bSocket-Type', 'latin1'), length, Buffer.from(type)]);
}

export function frame(body: Uint8Array, flag: number): Buffer {
  const isLong = body.length > 255;
  const head = Buffer.alloc(isLong ? 9 : 2);
  head[0] = flag | (isLong ? flags.long : 0);
  if (isLong) head.writeBigUInt64BE(BigInt(body.length), 1);
  else head[1] = body.length;
  return Buffer.concat([head, body]);
}

export interface ReaderHandlers {
  readonly onMessage: (frames: Buffer[]) => void;
  /** With NULL and without heartbeats, READY is the only command. */
  readonly onCommand: () => void;
}

/** Takes bytes in chunks of any size and passes on each complete message. */
export function createReader(
  { onMessage, onCommand }: ReaderHandlers,
  fail: (reason: string) => void,
): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let available = 0;
  let needed = greetingBytes;
  let greeted = false;
  let frames: Buffer[] = [];
  let messageBytes = 0;

  /** Returns the number of bytes that the step used. When it needs more, sets `needed` and returns 0. */
  const step = (bytes: Buffer): number => {
    if (!greeted) {
      if (bytes[0] !== 0xff || bytes[9] !== 0x7f || (bytes[10] ?? 0) < 3) throw new Error('it does not speak ZMTP 3');
      greeted = true;
      return greetingBytes;
    }
    const flag = bytes[0] ?? 0;
    const headBytes = (flag & flags.long) === 0 ? 2 : 9;
    if (bytes.length < headBytes) return wait(headBytes);
    const size = headBytes === 2 ? (bytes[1] ?? 0) : Number(bytes.readBigUInt64BE(1));
    if (messageBytes + size > maxMessageBytes) throw new Error('it sent more than 64 MiB of output at once');
    if (bytes.length < headBytes + size) return wait(headBytes + size);
    if ((flag & flags.command) !== 0) onCommand();
    else {
      frames.push(bytes.subarray(headBytes, headBytes + size));
      messageBytes += size;
      if ((flag & flags.more) === 0) {
        const message = frames;
        [frames, messageBytes] = [[], 0];
        onMessage(message);
      }
    }
    return headBytes + size;
  };
  const wait = (bytes: number): number => {
    needed = bytes;
    return 0;
  };

  return (chunk) => {
    chunks.push(chunk);
    available += chunk.length;
    if (available < needed) return;
    let bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    try {
      for (needed = 2; bytes.length >= needed;) {
        const used = step(bytes);
        if (used === 0) continue;
        bytes = bytes.subarray(used);
        needed = 2;
      }
    } catch (error) {
      fail(error instanceof Error ? error.message : 'broken');
    }
    chunks = [bytes];
    available = bytes.length;
  };
}
