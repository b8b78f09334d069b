import { messageMaxBytes } from './limits.ts';

/** What a frame means. The numbers are part of the protocol (spec/rpc.md). */
export const frameKind = {
  /** Starts a call. */
  call: 1,
  /** One message of a stream. */
  message: 2,
  /** The only message of a unary call, which ends with it. */
  answer: 3,
  /** The end of a stream. */
  end: 4,
  /** The end of a call that failed. */
  error: 5,
  /** The caller no longer waits for the call. */
  cancel: 6,
} as const;

export interface Frame {
  /** One of `frameKind`. A peer may send any byte. */
  readonly kind: number;
  /** Identifies the call on its connection. */
  readonly call: number;
  readonly payload: Uint8Array;
}

/** The decoded payload of a call's first frame. */
export interface CallFrame {
  /** In milliseconds. Undefined: no limit. */
  readonly timeoutMs: number | undefined;
  /** `/<service>/<method>`, as in Connect. */
  readonly path: string;
  readonly message: Uint8Array;
}

/** Length of the rest of the frame (4 bytes), kind (1), number of the call (4). */
const headerBytes = 9;
const lengthBytes = 4;
/** Time limit (4), length of the path (2). */
const callHeaderBytes = 6;
const frameMaxBytes = messageMaxBytes + 64 * 1024;
const empty = new Uint8Array();
/** The longest time that a timer of Node.js can run: 24 days. */
const longestTimeoutMs = 2 ** 31 - 1;

/** The peer does not keep to the protocol. Its connection cannot be used further. */
export class FrameError extends Error {}

export function encodeFrame(kind: number, call: number, payload: Uint8Array = empty): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + payload.length);
  frame.writeUInt32LE(headerBytes - lengthBytes + payload.length, 0);
  frame.writeUInt8(kind, 4);
  frame.writeUInt32LE(call, 5);
  frame.set(payload, headerBytes);
  return frame;
}

export function encodeCall(call: number, { path, timeoutMs, message }: CallFrame): Buffer {
  const pathBytes = Buffer.byteLength(path);
  const payload = Buffer.allocUnsafe(callHeaderBytes + pathBytes + message.length);
  payload.writeUInt32LE(timeoutMs === undefined ? 0 : Math.min(Math.max(1, Math.ceil(timeoutMs)), longestTimeoutMs), 0);
  payload.writeUInt16LE(pathBytes, 4);
  payload.write(path, callHeaderBytes);
  payload.set(message, callHeaderBytes + pathBytes);
  return encodeFrame(frameKind.call, call, payload);
}

/** Throws `FrameError`. */
export function decodeCall(payload: Uint8Array): CallFrame {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (bytes.length < callHeaderBytes) throw new FrameError('a call is too short');
  const messageAt = callHeaderBytes + bytes.readUInt16LE(4);
  if (bytes.length < messageAt) throw new FrameError('the path of a call is too short');
  const timeoutMs = bytes.readUInt32LE(0);
  return {
    timeoutMs: timeoutMs === 0 ? undefined : Math.min(timeoutMs, longestTimeoutMs),
    path: bytes.toString('utf8', callHeaderBytes, messageAt),
    message: bytes.subarray(messageAt),
  };
}

export interface FrameReader {
  /** Throws `FrameError`. */
  push(chunk: Buffer): void;
  /** Bytes of a frame that has not arrived completely. */
  readonly heldBytes: number;
}

/** Cuts what a socket receives into frames. */
export function createFrameReader(onFrame: (frame: Frame) => void): FrameReader {
  let chunks: Buffer[] = [];
  let heldBytes = 0;
  /** Size of the incomplete frame; that of its length field until this has arrived. */
  let wantedBytes = lengthBytes;

  const takeFrames = (bytes: Buffer): Buffer => {
    let at = 0;
    wantedBytes = lengthBytes;
    while (bytes.length - at >= lengthBytes) {
      const restBytes = bytes.readUInt32LE(at);
      if (restBytes < headerBytes - lengthBytes) throw new FrameError('a frame is too short');
      if (restBytes > frameMaxBytes)
        throw new FrameError(`a frame has ${restBytes} bytes, the limit is ${frameMaxBytes}`);
      const end = at + lengthBytes + restBytes;
      if (bytes.length < end) {
        wantedBytes = end - at;
        break;
      }
      const [kind, call] = [bytes.readUInt8(at + 4), bytes.readUInt32LE(at + 5)];
      onFrame({ kind, call, payload: bytes.subarray(at + headerBytes, end) });
      at = end;
    }
    return bytes.subarray(at);
  };

  return {
    get heldBytes() {
      return heldBytes;
    },
    push(chunk) {
      chunks.push(chunk);
      heldBytes += chunk.length;
      if (heldBytes < wantedBytes) return;
      const rest = takeFrames(chunks.length === 1 ? chunk : Buffer.concat(chunks));
      chunks = rest.length === 0 ? [] : [rest];
      heldBytes = rest.length;
    },
  };
}
