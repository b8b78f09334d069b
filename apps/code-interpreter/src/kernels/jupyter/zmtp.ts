import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createReader, flags, frame, greeting, readyCommand } from './zmtp-frames.ts';

/**
 * The part of ZeroMQ's wire protocol over a unix socket that a client of a Jupyter kernel needs: ZMTP 3.0 with the
 * mechanism NULL and sockets of type DEALER and SUB (rfc.zeromq.org/spec/23). It avoids a native addon in every
 * sandbox.
 */
export interface ZmtpSocket {
  send(frames: readonly Uint8Array[]): void;
  close(): void;
}

export interface ZmtpHandlers {
  readonly onMessage: (frames: readonly Buffer[]) => void;
  /**
   * Called once, unless we close the connection. Without a reason the peer has gone. With a reason it sent too much or
   * something that is not ZMTP.
   */
  readonly onClose: (reason: string | undefined) => void;
}

/** Connects and performs the handshake. Rejects when nothing listens there. */
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
  // libzmq closes a connection that sends messages before libzmq has answered the handshake.
  socket.on('data', createReader({ onMessage: handlers.onMessage, onCommand: () => shakeHands?.() }, close));
  socket.on('error', () => close(undefined));
  socket.on('close', () => close(undefined));
  socket.write(greeting());
  socket.write(frame(readyCommand(type), flags.command));
  await ready;
  // In version 3.0 a message makes the subscription; an empty prefix subscribes to everything.
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
