import { openSocket } from './raw.ts';

/** Frame types (RFC 9113, section 6). */
export const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const;
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const endStream = 1;
const endHeaders = 4;

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK without its tables, so that names and values may be anything (RFC 7541, section 6.2.2). */
export function encodeHeaders(headers: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, 'latin1');
    return Buffer.concat([encodeLength(bytes.length), bytes]);
  };
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function encodeLength(length: number): Buffer {
  if (length < 127) return Buffer.from([length]);
  const bytes = [127];
  for (let rest = length - 127; ; rest >>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

/** HEADERS of one stream, with its body if there is one. */
export function requestFrames(stream: number, headers: readonly (readonly [string, string])[], body?: string): Buffer {
  const block = encodeHeaders(headers);
  const flags = endHeaders | (body === undefined ? endStream : 0);
  const head = frame(frameTypes.headers, flags, stream, block);
  if (body === undefined) return head;
  return Buffer.concat([head, frame(frameTypes.data, endStream, stream, Buffer.from(body, 'latin1'))]);
}

/** Opens a connection, sends the frames, and returns how it went: `open` or `closed` after `quietMs`. */
export async function sendFrames(port: number, frames: Buffer, quietMs = 400): Promise<'open' | 'closed'> {
  const socket = await openSocket(port);
  socket.resume();
  const closed = new Promise<'closed'>((resolve) => socket.once('close', () => resolve('closed')));
  socket.write(Buffer.concat([preface, frame(frameTypes.settings, 0, 0), frames]));
  const quiet = new Promise<'open'>((resolve) => setTimeout(() => resolve('open'), quietMs));
  const state = await Promise.race([closed, quiet]);
  socket.destroy();
  return state;
}
