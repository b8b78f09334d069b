import { Socket } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import { descriptorOf } from '@soulbox/linux/sockets';
import { sendDescriptor } from '@soulbox/process';

export interface HandedOver {
  readonly ticket: Uint8Array<ArrayBuffer>;
  /** The bytes that were already read from the connection. */
  readonly head: Uint8Array<ArrayBuffer>;
}

/**
 * Sends a connected socket to the other end of the channel. This process closes its own copy in the same turn of the
 * event loop, so it reads nothing more from the socket. The peer does not notice the close.
 */
export function handOver(socket: Socket, channel: number): HandedOver {
  socket.on('error', () => undefined);
  try {
    const fd = descriptorOf(socket);
    if (fd < 0) throw new SoulBoxError('port_closed', 'The connection broke before it was handed over.');
    const head = socket.read() as Buffer | null;
    return { ticket: new Uint8Array(sendDescriptor(channel, fd)), head: new Uint8Array(head ?? []) };
  } finally {
    socket.destroy();
  }
}

export function takeOver(fd: number, head: Uint8Array): Socket {
  const socket = new Socket({ fd, readable: true, writable: true });
  if (head.length > 0) socket.unshift(head);
  return socket;
}
