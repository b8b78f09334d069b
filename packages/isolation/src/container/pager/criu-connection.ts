import { closeSync, rmSync } from 'node:fs';
import { check, lastErrno, SystemCallError } from '@soulbox/linux/libc';
import { accept, addressFamily, bind, createSocket, listen, message, socketType } from '@soulbox/linux/sockets';
import { receiveMessage, unixAddress } from '@soulbox/linux/unix-messages';
import type { UnixMessage } from '@soulbox/linux/unix-messages';

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
  const address = unixAddress(socketName);
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

/** Reads the next message; waits for the rest of a message that has begun. Throws on an invalid one. */
export function readMessage(connection: number): CriuMessage {
  const { bytes } = receive(connection, 4);
  if (bytes.length === 0) return { kind: 'end' };
  if (bytes.length !== 4) throw new Error('CRIU sent a part of a message.');
  const pid = bytes.readInt32LE(0);
  if (pid === restoreFinished) return { kind: 'finished' };
  // A zombie: its number is negative, and no descriptor follows.
  if (pid <= 0) return { kind: 'nothing' };
  return { kind: 'task', pid, fd: receiveDescriptor(connection) };
}

/** A descriptor comes with one byte of its own. It must not be read together with the number before it. */
function receiveDescriptor(connection: number): number {
  const { bytes, descriptors } = receive(connection, 1);
  const [fd] = descriptors;
  if (bytes.length !== 1 || fd === undefined) throw new Error('CRIU sent no descriptor.');
  return fd;
}

function receive(connection: number, maxBytes: number): UnixMessage {
  const received = receiveMessage(connection, { maxBytes, maxDescriptors: 1 }, message.waitForAll);
  if (received === undefined) throw new SystemCallError('recvmsg', lastErrno());
  return received;
}
