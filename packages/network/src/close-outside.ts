import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { NetlinkError, netlinkFlags, netlinkProtocol } from '@soulbox/linux/netlink';
import { addressFamily } from '@soulbox/linux/sockets';
import type { NetlinkRequest, NetlinkSocket } from '@soulbox/linux/netlink';
import { inner } from './address-plan.ts';
import { numberFromAddress } from './cidr.ts';
import { openNamespaceFd, openNetlinkIn } from './enter-namespace.ts';

// linux/sock_diag.h, linux/in.h
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const IPPROTO_TCP = 6;

/**
 * States in which a peer can be notified, one bit each: all except closed, TIME_WAIT and LISTEN
 * (include/net/tcp_states.h).
 */
const connectedStates = ~((1 << 7) | (1 << 6) | (1 << 10)) & 0xfff;

/** struct inet_diag_msg: four bytes, struct inet_diag_sockid, then expires, rqueue, wqueue, uid, inode. */
const idOffset = 4;
const idBytes = 48;
const peerOffset = idOffset + 20;
const uidOffset = idOffset + idBytes + 12;
const inodeOffset = uidOffset + 4;

interface Connection {
  readonly family: number;
  readonly state: number;
  /** struct inet_diag_sockid, which identifies the connection to the kernel. */
  readonly id: Buffer;
  /** 16 bytes. IPv4 uses 4 of them. */
  readonly peer: Buffer;
  /** The uid on the host. */
  readonly uid: number;
  /** 0 if no process has it open any more. */
  readonly inode: number;
}

/**
 * Ends every TCP connection of a namespace whose other end is not inside: connections to an outside peer, which
 * receives a reset, and connections that the host opened into the namespace. Connections between processes of the
 * sandbox stay. The sandbox should be frozen, otherwise it may open new connections meanwhile. Returns the number of
 * ended connections. Takes less than a millisecond and needs CONFIG_INET_DIAG_DESTROY. `hostUid` is the owner of the
 * host's connections; no process of a sandbox has it as its own.
 *
 * @throws sandbox_unreachable if there is no such namespace.
 */
export function closeOutside(namespacePath: string, hostUid = process.geteuid?.() ?? 0): number {
  const namespaceFd = openNamespaceFd(namespacePath);
  try {
    using socket = openNetlinkIn(namespaceFd, netlinkProtocol.socketDiagnosis);
    const open = [...listConnections(socket, addressFamily.v4), ...listConnections(socket, addressFamily.v6)];
    const doomed = open.filter((connection) => isOutside(connection, hostUid));
    for (const connection of doomed) destroy(socket, connection);
    return doomed.length;
  } finally {
    closeSync(namespaceFd);
  }
}

function listConnections(socket: NetlinkSocket, family: number): Connection[] {
  const wanted = { family, states: connectedStates, id: undefined };
  return socket.dump(request(SOCK_DIAG_BY_FAMILY, netlinkFlags.dump, 'list connections', wanted)).map(connectionFrom);
}

/** `message` is a struct inet_diag_msg. */
function connectionFrom(message: Buffer): Connection {
  return {
    family: message.readUInt8(0),
    state: message.readUInt8(1),
    id: message.subarray(idOffset, idOffset + idBytes),
    peer: message.subarray(peerOffset, peerOffset + 16),
    uid: message.readUInt32LE(uidOffset),
    inode: message.readUInt32LE(inodeOffset),
  };
}

function isOutside({ family, peer, uid, inode }: Connection, hostUid: number): boolean {
  return (inode !== 0 && uid === hostUid) || !isInside(family, peer);
}

function isInside(family: number, peer: Buffer): boolean {
  if (family === addressFamily.v4) return isInsideV4(peer.subarray(0, 4));
  const isMapped = peer.subarray(0, 12).equals(mappedPrefix);
  return isMapped ? isInsideV4(peer.subarray(12)) : peer.equals(loopbackV6);
}

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex');
const loopbackV6 = Buffer.from('00000000000000000000000000000001', 'hex');

/** 127.0.0.0/8, or the address that every sandbox has on eth0. */
function isInsideV4(address: Buffer): boolean {
  return address.readUInt8(0) === 127 || address.readUInt32BE(0) === numberFromAddress(inner.address);
}

/** A connection that has just ended by itself is not an error. */
function destroy(socket: NetlinkSocket, { family, state, id }: Connection): void {
  try {
    socket.askNow(
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
