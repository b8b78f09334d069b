import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { check, lastErrno, libcFunction, SystemCallError } from './libc.ts';
import { decodeNetlink, encodeNetlink } from './netlink.ts';
import type { NetlinkMessage, NetlinkRequest } from './netlink.ts';
import { attachSocketFilter } from './socket-filter.ts';
import type { FilterStep } from './socket-filter.ts';
import { addressFamily, bind, createSocket, message as messageFlags, setsockopt, socketType } from './sockets.ts';

// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
/** The kernel collects packets for one message up to the size of a page (nfnetlink_log); other events are smaller. */
const readBytes = 64 * 1024;

const recv = libcFunction<[fd: number, data: Buffer, size: number, flags: number]>(
  'long recv(int fd, void *data, size_t size, int flags)',
);
const send = libcFunction<[fd: number, data: Buffer, size: number, flags: number]>(
  'long send(int fd, const void *data, size_t size, int flags)',
);

export interface NetlinkEventOptions {
  readonly protocol: number;
  /** Bits of the multicast groups to receive. */
  readonly groups: number;
  /** Memory of the kernel for events that wait. Beyond it, the kernel drops events and says so. */
  readonly bufferBytes: number;
  readonly filter?: readonly FilterStep[];
  /** Sent once, before anything is received. */
  readonly request?: NetlinkRequest;
}

/** Events of the kernel, from now on. */
export interface NetlinkEvents extends Disposable {
  /** What has arrived, at least `max` messages if there are so many. Never waits. */
  read(max: number): { readonly messages: NetlinkMessage[]; readonly hasLost: boolean };
}

/** Throws `SystemCallError`, or `NetlinkError` if the kernel refuses the request. */
export function openNetlinkEvents(options: NetlinkEventOptions): NetlinkEvents {
  const { protocol, groups, bufferBytes, filter, request } = options;
  const fd = createSocket(addressFamily.netlink, socketType.raw | socketType.nonBlock, protocol);
  const buffer = Buffer.alloc(readBytes);
  /** Undefined: nothing is there. `lost`: the kernel has dropped events since the last read. */
  const next = (): Buffer | 'lost' | undefined => {
    const size = recv(fd, buffer, buffer.length, messageFlags.doNotWait);
    if (size >= 0) return Buffer.from(buffer.subarray(0, size));
    const errno = lastErrno();
    if (errno === constants.errno.EAGAIN) return undefined;
    if (errno === constants.errno.ENOBUFS) return 'lost';
    throw new SystemCallError('recv from netlink', errno);
  };
  try {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(bufferBytes);
    check('setsockopt', setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, size.length));
    if (filter !== undefined) attachSocketFilter(fd, filter);
    // struct sockaddr_nl: family, padding, port (0: the kernel chooses), groups.
    const address = Buffer.alloc(12);
    address.writeUInt16LE(addressFamily.netlink, 0);
    address.writeUInt32LE(groups, 8);
    check('bind', bind(fd, address, address.length));
    if (request !== undefined) {
      const data = encodeNetlink(request, 0);
      check('send to netlink', send(fd, data, data.length, 0));
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return {
    read(max) {
      const messages: NetlinkMessage[] = [];
      let hasLost = false;
      while (messages.length < max) {
        const data = next();
        if (data === undefined) break;
        if (data === 'lost') hasLost = true;
        else messages.push(...decodeNetlink(data));
      }
      return { messages, hasLost };
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
