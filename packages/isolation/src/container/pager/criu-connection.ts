import { closeSync, rmSync } from 'node:fs';
import { addressOf, check } from '@soulbox/linux/libc';
import {
  accept,
  addressFamily,
  bind,
  createSocket,
  listen,
  message,
  recvmsg,
  socketType,
} from '@soulbox/linux/sockets';

/** CRIU sends this instead of a pid once every process has been restored ("RSTF", CRIU: criu/uffd.c). */
const restoreFinished = 0x52535446;

/** The socket name that CRIU connects to, in the folder given as `-W`. */
export const socketName = 'lazy-pages.socket';

/**
 * The messages of `criu restore --lazy-pages`: `task`: this process's memory is served through this descriptor;
 * `finished`: all processes are restored; `nothing`: a process without memory; `end`: CRIU has closed the connection.
 */
export type CriuMessage =
  | { readonly kind: 'task'; readonly pid: number; readonly fd: number }
  | { readonly kind: 'finished' | 'nothing' | 'end' };

/** Listens in the working directory: so a path of any length fits into the 108 bytes of a socket address. */
export function listenForCriu(): number {
  rmSync(socketName, { force: true });
  const address = Buffer.alloc(110);
  address.writeUInt16LE(addressFamily.unix, 0);
  address.write(socketName, 2);
  const fd = createSocket(addressFamily.unix, socketType.stream);
  check('bind', bind(fd, address, address.length));
  check('listen', listen(fd, 1));
  return fd;
}

/** Accepts the only connection and removes the socket. */
export function acceptCriu(listener: number): number {
  const fd = check('accept', accept(listener, null, null, socketType.closeOnExec));
  closeSync(listener);
  rmSync(socketName, { force: true });
  return fd;
}

const data = Buffer.alloc(4);
const control = Buffer.alloc(24);
const vector = Buffer.alloc(16);
const header = Buffer.alloc(56);

/** Reads the next message; waits for the rest of a message that has begun. Throws on an invalid one. */
export function readMessage(connection: number): CriuMessage {
  const bytes = receive(connection, 4);
  if (bytes === 0) return { kind: 'end' };
  if (bytes !== 4) throw new Error('CRIU sent a part of a message.');
  const pid = data.readInt32LE(0);
  if (pid === restoreFinished) return { kind: 'finished' };
  // A zombie: its number is negative, and no descriptor follows.
  if (pid <= 0) return { kind: 'nothing' };
  return { kind: 'task', pid, fd: receiveDescriptor(connection) };
}

/** A descriptor comes with one byte of its own. It must not be read together with the number before it. */
function receiveDescriptor(connection: number): number {
  const bytes = receive(connection, 1);
  const isOne =
    Number(header.readBigUInt64LE(40)) >= 20 &&
    control.readInt32LE(8) === message.socketLevel &&
    control.readInt32LE(12) === message.descriptors;
  if (bytes !== 1 || !isOne) throw new Error('CRIU sent no descriptor.');
  return control.readInt32LE(16);
}

/** recvmsg(2) into `data` and `control`; the layout of its structures is the same on every 64-bit Linux. */
function receive(connection: number, bytes: number): number {
  control.fill(0);
  vector.writeBigUInt64LE(addressOf(data), 0);
  vector.writeBigUInt64LE(BigInt(bytes), 8);
  header.fill(0);
  header.writeBigUInt64LE(addressOf(vector), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(control), 32);
  header.writeBigUInt64LE(BigInt(control.length), 40);
  return check('recvmsg', recvmsg(connection, header, message.waitForAll | message.closeOnExec));
}
