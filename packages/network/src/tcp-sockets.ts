import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { NetlinkError, netlinkFlags, netlinkProtocol } from '@soulbox/linux/netlink';
import { addressFamily } from '@soulbox/linux/sockets';
import type { NetlinkRequest, NetlinkSocket } from '@soulbox/linux/netlink';
import { openNamespaceFd, openNetlinkIn } from './enter-namespace.ts';

// linux/sock_diag.h, linux/in.h
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const IPPROTO_TCP = 6;

/** States of a TCP socket that matter here (include/net/tcp_states.h). */
export const tcpState = { established: 1, synReceived: 3, timeWait: 6, closed: 7, closeWait: 8, listen: 10 } as const;

const allStates = 0xfff;

/** struct inet_diag_msg: four bytes, struct inet_diag_sockid, then expires, rqueue, wqueue, uid, inode. */
const idOffset = 4;
const idBytes = 48;
const peerOffset = idOffset + 20;
const rqueueOffset = idOffset + idBytes + 4;
const uidOffset = rqueueOffset + 8;
const inodeOffset = uidOffset + 4;

/** A TCP socket of a namespace. */
export interface TcpSocket {
  /** `addressFamily.v4` or `.v6`. */
  readonly family: number;
  /** See `tcpState`. */
  readonly state: number;
  /** struct inet_diag_sockid, which identifies the socket to the kernel. */
  readonly id: Buffer;
  /** 16 bytes. IPv4 uses 4 of them. */
  readonly peer: Buffer;
  /** Bytes that were not read yet; of a listening socket, the connections that were not accepted yet. */
  readonly waiting: number;
  /** The uid on the host. */
  readonly uid: number;
  /** 0 if no process has it open: not accepted yet, or closed already. */
  readonly inode: number;
}

/** The TCP sockets of one namespace. Takes less than a millisecond and needs CONFIG_INET_DIAG_DESTROY. */
export interface TcpSockets {
  list(): TcpSocket[];
  /** Ends a connection and resets its peer. One that has just ended by itself is not an error. */
  destroy(connection: TcpSocket): void;
}

/** @throws sandbox_unreachable if there is no such namespace. */
export function withTcpSockets<T>(namespacePath: string, use: (sockets: TcpSockets) => T): T {
  const namespaceFd = openNamespaceFd(namespacePath);
  try {
    using netlink = openNetlinkIn(namespaceFd, netlinkProtocol.socketDiagnosis);
    return use({
      list: () => [...list(netlink, addressFamily.v4), ...list(netlink, addressFamily.v6)],
      destroy: (connection) => destroy(netlink, connection),
    });
  } finally {
    closeSync(namespaceFd);
  }
}

function list(netlink: NetlinkSocket, family: number): TcpSocket[] {
  const wanted = { family, states: allStates, id: undefined };
  return netlink.dump(request(SOCK_DIAG_BY_FAMILY, netlinkFlags.dump, 'list connections', wanted)).map(socketFrom);
}

/** `message` is a struct inet_diag_msg. */
function socketFrom(message: Buffer): TcpSocket {
  return {
    family: message.readUInt8(0),
    state: message.readUInt8(1),
    id: message.subarray(idOffset, idOffset + idBytes),
    peer: message.subarray(peerOffset, peerOffset + 16),
    waiting: message.readUInt32LE(rqueueOffset),
    uid: message.readUInt32LE(uidOffset),
    inode: message.readUInt32LE(inodeOffset),
  };
}

function destroy(netlink: NetlinkSocket, { family, state, id }: TcpSocket): void {
  try {
    netlink.askNow(
      request(SOCK_DESTROY, netlinkFlags.acknowledge, 'end a connection', { family, states: 1 << state, id }),
    );
  } catch (error) {
    if (!(error instanceof NetlinkError && error.errno === constants.errno.ENOENT)) throw error;
  }
}

/** `body` is a struct inet_diag_req_v2 of linux/inet_diag.h. */
function request(
  type: number,
  flags: number,
  what: string,
  { family, states, id }: { family: number; states: number; id: Buffer | undefined },
): NetlinkRequest {
  const body = Buffer.alloc(8 + idBytes);
  body.writeUInt8(family, 0);
  body.writeUInt8(IPPROTO_TCP, 1);
  body.writeUInt32LE(states, 4);
  id?.copy(body, 8);
  return { type, flags: netlinkFlags.request | flags, body, what };
}
