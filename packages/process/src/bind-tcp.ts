import { closeSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { lastErrno, SystemCallError } from '@soulbox/linux/libc';
import { addressFamily, bind, createSocket, message, setsockopt, socketType } from '@soulbox/linux/sockets';

/** asm-generic/socket.h */
const reuseAddress = 2;

/**
 * Opens a TCP socket that is bound to an address and port of this host but does not listen yet; the process that
 * receives it listens. The socket stays open when a process that serves on it ends, so that clients wait for the next
 * process. Throws the same errors as Node's `listen`. Port 0 takes a free port.
 */
export async function bindTcp(host: string, port: number): Promise<number> {
  const { address } = await lookup(host);
  const family = isIPv6(address) ? addressFamily.v6 : addressFamily.v4;
  const fd = openSocket(family, host, port);
  const one = Buffer.alloc(4);
  one.writeInt32LE(1);
  setsockopt(fd, message.socketLevel, reuseAddress, one, one.length);
  const name = nameFrom(address, port);
  if (bind(fd, name, name.length) === 0) return fd;
  const errno = lastErrno();
  closeSync(fd);
  throw listenError(errno, host, port);
}

function openSocket(family: number, host: string, port: number): number {
  try {
    return createSocket(family, socketType.stream | socketType.nonBlock);
  } catch (error) {
    throw error instanceof SystemCallError ? listenError(error.errno, host, port) : error;
  }
}

/**
 * struct sockaddr_in or sockaddr_in6: the family is in the machine's byte order, port and address are in network byte
 * order.
 */
function nameFrom(address: string, port: number): Buffer {
  const isV6 = isIPv6(address);
  const name = Buffer.alloc(isV6 ? 28 : 16);
  name.writeUInt16LE(isV6 ? addressFamily.v6 : addressFamily.v4, 0);
  name.writeUInt16BE(port, 2);
  if (isV6) wordsOf(address).forEach((word, index) => name.writeUInt16BE(word, 8 + index * 2));
  else address.split('.').forEach((part, index) => name.writeUInt8(Number(part), 4 + index));
  return name;
}

/** The eight 16-bit words of an IPv6 address. */
function wordsOf(address: string): number[] {
  // The URL parser writes the form of RFC 5952 without an IPv4 part.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = text.split('::');
  const wordsIn = (part: string): number[] => (part === '' ? [] : part.split(':').map((word) => parseInt(word, 16)));
  const [first, last] = [wordsIn(head), wordsIn(tail ?? '')];
  return [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
}

function listenError(errno: number, host: string, port: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`listen ${code}: ${host}:${port}`), { code, errno: -errno, syscall: 'listen' });
}
