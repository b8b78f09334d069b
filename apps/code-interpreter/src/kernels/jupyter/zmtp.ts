import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createReader, flags, frame, greeting, readyCommand } from './zmtp-frames.ts';

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
