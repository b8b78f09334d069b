import type { Socket } from 'node:net';
import { libcFunction } from '@soulbox/linux/libc';
import { descriptorOf } from '@soulbox/linux/sockets';

/** The process on the other side of a Unix socket, as the kernel recorded it when the connection was made. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const getsockopt = libcFunction<[fd: number, level: number, name: number, value: Buffer, size: [number]]>(
  'int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint32_t *size)',
);

// From asm-generic/socket.h. The numbers are the same on x86-64 and arm64.
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: three 32-bit numbers. */
const credentialsBytes = 12;

/** Undefined for a connection that has already closed, and for a socket that is not a Unix socket. */
export function readPeer(socket: Socket): Peer | undefined {
  const fd = descriptorOf(socket);
  if (fd < 0) return undefined;
  const value = Buffer.alloc(credentialsBytes);
  const size: [number] = [credentialsBytes];
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, size) !== 0 || size[0] !== credentialsBytes) return undefined;
  // The kernel writes in the byte order of the machine. Node.js runs only on little-endian machines.
  const [pid, uid, gid] = [value.readInt32LE(0), value.readUInt32LE(4), value.readUInt32LE(8)];
  // A connection of another address family reports no process.
  return pid > 0 ? { pid, uid, gid } : undefined;
}
