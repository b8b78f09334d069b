import { connect } from 'node:net';
import type { Socket } from 'node:net';

/**
 * ZeroMQ's wire protocol over a unix socket, as far as a client of a Jupyter kernel needs it: ZMTP 3.0 with the mechanism NULL,
 * sockets of type DEALER and SUB (rfc.zeromq.org/spec/23). It saves a native addon in every sandbox.
 */
export interface ZmtpSocket {
  send(frames: readonly Uint8Array[]): void;
  close(): void;
}

export interface ZmtpHandlers {
  readonly onMessage: (frames: readonly Buffer[]) => void;
  /** Called once, unless we close it: the other side is gone, or (then with a reason) sent too much or what is no ZMTP. */
  readonly onClose: (reason: string | undefined) => void;
}

/** Of one message. A kernel that sends a longer one is refused: it would have to be held in memory as a whole. */
const maxMessageBytes = 64 * 1024 * 1024;

const greetingBytes = 64;
const flags = { more: 1, long: 2, command: 4 } as const;

/** Connects and shakes hands. Rejects when nobody listens there. */
export async function connectZmtp(path: string, type: 'DEALER' | 'SUB', handlers: ZmtpHandlers): Promise<ZmtpSocket> {
  const socket = await open(path);
  let isOpen = true;
  const close = (reason: string | undefined): void => {
    if (!isOpen) return;
    isOpen = false;
    socket.destroy();
    handlers.onClose(reason);
  };
  let shakeHands: (() => void) | undefined;
  const ready = new Promise<void>((resolve, reject) => {
    shakeHands = resolve;
    socket.once('close', () => reject(new Error('The kernel refused the connection.')));
  });
  // libzmq closes a connection whose messages come before it has answered the handshake.
  socket.on('data', createReader({ onMessage: handlers.onMessage, onCommand: () => shakeHands?.() }, close));
  socket.on('error', () => close(undefined));
  socket.on('close', () => close(undefined));
  socket.write(greeting());
  socket.write(frame(readyCommand(type), flags.command));
  await ready;
  // Version 3.0 subscribes by a message, and to everything by an empty prefix.
  if (type === 'SUB') socket.write(frame(Buffer.of(1), 0));
  return {
    send: (frames) => {
      socket.cork();
      for (const [at, body] of frames.entries()) socket.write(frame(body, at < frames.length - 1 ? flags.more : 0));
      socket.uncork();
    },
    close: () => {
      isOpen = false;
      socket.destroy();
    },
  };
}

async function open(path: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** Signature, version 3.0, mechanism padded to 20 bytes, not a server. */
function greeting(): Buffer {
  const bytes = Buffer.alloc(greetingBytes);
  bytes[0] = 0xff;
  bytes[9] = 0x7f;
  bytes[10] = 3;
  bytes.write('NULL', 12);
  return bytes;
}

function readyCommand(type: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  return Buffer.concat([Buffer.from('\x05READY\x0bSocket-Type', 'latin1'), length, Buffer.from(type)]);
}

function frame(body: Uint8Array, flag: number): Buffer {
  const isLong = body.length > 255;
  const head = Buffer.alloc(isLong ? 9 : 2);
  head[0] = flag | (isLong ? flags.long : 0);
  if (isLong) head.writeBigUInt64BE(BigInt(body.length), 1);
  else head[1] = body.length;
  return Buffer.concat([head, body]);
}

interface ReaderHandlers {
  readonly onMessage: (frames: Buffer[]) => void;
  /** With NULL and without heartbeats the only command is READY. */
  readonly onCommand: () => void;
}

/** Takes bytes as they come and hands on each whole message. */
function createReader(
  { onMessage, onCommand }: ReaderHandlers,
  fail: (reason: string) => void,
): (chunk: Buffer) => void {
  let chunks: Buffer[] = [];
  let available = 0;
  let needed = greetingBytes;
  let greeted = false;
  let frames: Buffer[] = [];
  let messageBytes = 0;

  /** Gives how many bytes the step used, or sets `needed` and gives 0. */
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
    if (messageBytes + size > maxMessageBytes) throw new Error('it gave more than 64 MiB of output at once');
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
