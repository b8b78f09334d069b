import { constants } from 'node:os';
import { NetlinkError, netlinkFlags } from '@soulbox/linux/netlink';
import type { NetlinkRequest, NetlinkSocket } from '@soulbox/linux/netlink';
import { addressFamily } from '@soulbox/linux/sockets';
import { listSockets } from './socket-diagnosis.ts';

// linux/sock_diag.h, linux/in.h
const SOCK_DESTROY = 21;
const IPPROTO_TCP = 6;

/** States of a TCP socket that matter here (include/net/tcp_states.h). */
export const tcpState = { established: 1, synReceived: 3, timeWait: 6, closed: 7, closeWait: 8, listen: 10 } as const;

/** The last of the states that inet_diag(7) knows. */
const stateMax = 11;

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

/** The numbers of all states except these. */
export function allStatesExcept(...states: readonly number[]): number[] {
  return Array.from({ length: stateMax }, (_, index) => index + 1).filter((state) => !states.includes(state));
}

/** The TCP sockets of a namespace that are in one of `states`. `netlink` is one for `socketDiagnosis`. */
export function listTcpSockets(netlink: NetlinkSocket, states: readonly number[]): TcpSocket[] {
  return [addressFamily.v4, addressFamily.v6].flatMap((family) => {
    const wanted = { family, states, id: undefined };
    return netlink.dump(request(listSockets, netlinkFlags.dump, 'list connections', wanted)).map(socketFrom);
  });
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

/**
 * Ends a connection and resets its peer. One that has just ended by itself is not an error. Needs
 * CONFIG_INET_DIAG_DESTROY.
 */
export function destroyTcpSocket(netlink: NetlinkSocket, { family, state, id }: TcpSocket): void {
  try {
    netlink.askNow(
      request(SOCK_DESTROY, netlinkFlags.acknowledge, 'end a connection', { family, states: [state], id }),
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
  { family, states, id }: { family: number; states: readonly number[]; id: Buffer | undefined },
): NetlinkRequest {
  const body = Buffer.alloc(8 + idBytes);
  body.writeUInt8(family, 0);
  body.writeUInt8(IPPROTO_TCP, 1);
  body.writeUInt32LE(
    states.reduce((mask, state) => mask | (1 << state), 0),
    4,
  );
  id?.copy(body, 8);
  return { type, flags: netlinkFlags.request | flags, body, what };
}
