import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { check, lastErrno, libcFunction } from './libc.ts';

/** linux/socket.h */
export const addressFamily = { unix: 1, v4: 2, v6: 10, netlink: 16 } as const;
/** linux/net.h. The flags are those of open(2) and have the same values on x86-64 and arm64. */
export const socketType = {
  stream: 1,
  datagrams: 2,
  raw: 3,
  packets: 5,
  nonBlock: 0o4000,
  closeOnExec: 0o2000000,
} as const;
/** linux/socket.h: flags of send(2) and recv(2), and the level and type of a message that carries descriptors. */
export const message = {
  doNotWait: 0x40,
  waitForAll: 0x100,
  noSignal: 0x4000,
  closeOnExec: 0x4000_0000,
  socketLevel: 1,
  descriptors: 1,
} as const;

const socket = libcFunction<[family: number, type: number, protocol: number]>(
  'int socket(int family, int type, int protocol)',
);
const socketpair = libcFunction<[family: number, type: number, protocol: number, fds: Buffer]>(
  'int socketpair(int family, int type, int protocol, void *fds)',
);
export const setsockopt = libcFunction<[fd: number, level: number, name: number, value: Buffer, length: number]>(
  'int setsockopt(int fd, int level, int name, const void *value, uint32_t length)',
);
export const bind = libcFunction<[fd: number, address: Buffer, length: number]>(
  'int bind(int fd, const void *address, uint32_t length)',
);
/** Returns 0, or a negative number; `lastErrno` then knows the reason. */
export const connect = libcFunction<[fd: number, address: Buffer, length: number]>(
  'int connect(int fd, const void *address, uint32_t length)',
);
export const listen = libcFunction<[fd: number, backlog: number]>('int listen(int fd, int backlog)');
export const accept = libcFunction<[fd: number, address: null, length: null, flags: number]>(
  'int accept4(int fd, void *address, void *length, int flags)',
);
/** `header` is a struct msghdr. */
export const recvmsg = libcFunction<[fd: number, header: Buffer, flags: number]>(
  'long recvmsg(int fd, void *header, int flags)',
);

/** `header` is a struct msghdr. */
export const sendmsg = libcFunction<[fd: number, header: Buffer, flags: number]>(
  'long sendmsg(int fd, void *header, int flags)',
);

const send = libcFunction<[fd: number, bytes: Buffer, length: number, flags: number]>(
  'long send(int fd, const void *bytes, size_t length, int flags)',
);

/** A struct sockaddr_in: the family is in the machine's byte order, port and address are in network byte order. */
export function nameOfV4(address: number, port: number): Buffer {
  const name = Buffer.alloc(16);
  name.writeUInt16LE(addressFamily.v4, 0);
  name.writeUInt16BE(port, 2);
  name.writeUInt32BE(address, 4);
  return name;
}

/** Sends what the kernel takes at once. Returns the number of bytes; 0 also if the connection has failed. */
export function sendAtOnce(fd: number, bytes: Buffer): number {
  return Math.max(0, send(fd, bytes, bytes.length, message.doNotWait | message.noSignal));
}

/**
 * Creates two sockets connected to each other, with the properties of `createSocket`. The caller closes both. Throws
 * `SystemCallError`.
 */
export function createSocketPair(family: number, type: number): [one: number, other: number] {
  const fds = Buffer.alloc(8);
  check('socketpair', socketpair(family, type | socketType.closeOnExec, 0, fds));
  return [fds.readInt32LE(0), fds.readInt32LE(4)];
}

/** Creates a socket that programs started later do not inherit. The caller closes it. Throws `SystemCallError`. */
export function createSocket(family: number, type: number, protocol = 0): number {
  return check('socket', socket(family, type | socketType.closeOnExec, protocol));
}

/** The descriptor of Node's own handle. Below 0 if the socket has closed. */
export function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}

/** linux/in.h, linux/netfilter_ipv4.h */
const ipLevel = 0;
const originalDestination = 80;
const getsockopt = libcFunction<[fd: number, level: number, name: number, value: Buffer, length: Buffer]>(
  'int getsockopt(int fd, int level, int name, void *value, void *length)',
);

/** linux/socket.h: SOL_SOCKET, SO_ERROR */
const socketLevel = 1;
const pendingError = 4;
/** 127.0.0.1 */
const loopback = 0x7f00_0001;

/**
 * Connects a new TCP socket that does not block to a port of 127.0.0.1. True if the kernel refuses that at once, because
 * nothing listens there. False if the socket is connected, or if the kernel has not decided. Throws `SystemCallError`.
 */
export function isRefusedByLoopback(fd: number, port: number): boolean {
  const name = nameOfV4(loopback, port);
  if (connect(fd, name, name.length) === 0) return false;
  const errno = lastErrno();
  if (errno !== constants.errno.EINPROGRESS) return errno === constants.errno.ECONNREFUSED;
  const error = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(error.length);
  check('getsockopt', getsockopt(fd, socketLevel, pendingError, error, length));
  return error.readInt32LE(0) === constants.errno.ECONNREFUSED;
}

/**
 * Where a TCP connection over IPv4 went before the kernel's filter redirected it to this host. Undefined if the socket
 * has closed, or the kernel does not know it.
 */
export function readOriginalDestination(socket: Socket): { address: string; port: number } | undefined {
  const fd = descriptorOf(socket);
  if (fd < 0) return undefined;
  // struct sockaddr_in: family, port and address; the latter two in network byte order.
  const name = Buffer.alloc(16);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(name.length);
  if (getsockopt(fd, ipLevel, originalDestination, name, length) !== 0) return undefined;
  if (name.readUInt16LE(0) !== addressFamily.v4) return undefined;
  return { address: name.subarray(4, 8).join('.'), port: name.readUInt16BE(2) };
}
