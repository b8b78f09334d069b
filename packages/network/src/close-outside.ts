import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { inner } from './address-plan.ts';
import { numberFromAddress } from './cidr.ts';
import { createNetlinkSocketIn, openNamespaceFd } from './enter-namespace.ts';

const libc = koffi.load(null);
const send = libc.func('long send(int fd, const void *data, size_t size, int flags)') as (
  fd: number,
  data: Buffer,
  size: number,
  flags: number,
) => number;
const recv = libc.func('long recv(int fd, _Out_ void *data, size_t size, int flags)') as (
  fd: number,
  data: Buffer,
  size: number,
  flags: number,
) => number;

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const IPPROTO_TCP = 6;
const MSG_DONTWAIT = 0x40;
const families = { v4: 2, v6: 10 } as const;

/** States with a peer that can be told: all but closed, TIME_WAIT and LISTEN (include/net/tcp_states.h, a bit for each). */
const connectedStates = ~((1 << 7) | (1 << 6) | (1 << 10)) & 0xfff;

const headerBytes = 16;
/** struct inet_diag_msg: four bytes, then struct inet_diag_sockid, then expires, rqueue, wqueue, uid, inode. */
const idOffset = 4;
const idBytes = 48;
const peerOffset = idOffset + 20;
const uidOffset = idOffset + idBytes + 12;
const inodeOffset = uidOffset + 4;
/** The kernel fills at most this much at once (netlink_dump in net/netlink/af_netlink.c). */
const answerBytes = 64 * 1024;

interface Connection {
  readonly family: number;
  readonly state: number;
  /** struct inet_diag_sockid, which names the connection to the kernel. */
  readonly id: Buffer;
  /** 16 bytes, of which IPv4 uses 4. */
  readonly peer: Buffer;
  /** Host id. */
  readonly uid: number;
  /** 0: no process has it open any more. */
  readonly inode: number;
}

/**
 * Ends every TCP connection of a namespace whose other end is not inside: those with an outside peer, which gets a reset, and
 * those that the host opened into it. Connections between processes of the sandbox stay. Meant for a sandbox that stands
 * still: new connections may come to be meanwhile otherwise. Gives how many were ended. Takes below a millisecond; needs
 * CONFIG_INET_DIAG_DESTROY. `hostUid` is the owner of the host's connections, which no process of a sandbox has as its own.
 *
 * @throws sandbox_unreachable when there is no such namespace.
 */
export function closeOutside(namespacePath: string, hostUid = process.geteuid?.() ?? 0): number {
  const namespaceFd = openNamespaceFd(namespacePath);
  let fd: number | undefined;
  try {
    fd = createNetlinkSocketIn(namespaceFd, NETLINK_SOCK_DIAG);
    const open = [...listConnections(fd, families.v4), ...listConnections(fd, families.v6)];
    const doomed = open.filter((connection) => isOutside(connection, hostUid));
    for (const connection of doomed) destroy(fd, connection);
    return doomed.length;
  } finally {
    if (fd !== undefined) closeSync(fd);
    closeSync(namespaceFd);
  }
}

function listConnections(fd: number, family: number): Connection[] {
  post(
    fd,
    request(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, { family, states: connectedStates, id: undefined }),
  );
  const found: Connection[] = [];
  for (;;) {
    const answer = receive(fd);
    for (const { type, body } of messagesIn(answer)) {
      if (type === NLMSG_DONE) return found;
      if (type === NLMSG_ERROR) throw new Error(`sock_diag: error ${body.readInt32LE(0)}`);
      found.push(connectionFrom(body));
    }
  }
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
  if (family === families.v4) return isInsideV4(peer.subarray(0, 4));
  const isMapped = peer.subarray(0, 12).equals(mappedPrefix);
  return isMapped ? isInsideV4(peer.subarray(12)) : peer.equals(loopbackV6);
}

const mappedPrefix = Buffer.from('00000000000000000000ffff', 'hex');
const loopbackV6 = Buffer.from('00000000000000000000000000000001', 'hex');

/** 127.0.0.0/8, or the address that every sandbox has on eth0. */
function isInsideV4(address: Buffer): boolean {
  return address.readUInt8(0) === 127 || address.readUInt32BE(0) === numberFromAddress(inner.address);
}

/** One that has just ended by itself is as good. */
function destroy(fd: number, { family, state, id }: Connection): void {
  post(fd, request(SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, { family, states: 1 << state, id }));
  for (const { type, body } of messagesIn(receive(fd))) {
    const error = type === NLMSG_ERROR ? -body.readInt32LE(0) : 0;
    if (error !== 0 && error !== ENOENT) throw new Error(`the kernel did not end a connection: error ${error}`);
  }
}

const ENOENT = 2;

/** struct inet_diag_req_v2. Every architecture Node runs on here is little-endian. */
function request(
  type: number,
  flags: number,
  { family, states, id }: { family: number; states: number; id: Buffer | undefined },
): Buffer {
  const body = Buffer.alloc(8 + idBytes);
  body.writeUInt8(family, 0);
  body.writeUInt8(IPPROTO_TCP, 1);
  body.writeUInt32LE(states, 4);
  id?.copy(body, 8);
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(headerBytes + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  return Buffer.concat([header, body]);
}

function post(fd: number, message: Buffer): void {
  if (send(fd, message, message.length, 0) !== message.length) throw new Error(`netlink send: errno ${koffi.errno()}`);
}

/** The kernel has answered before `send` returns, and goes on with each `recv`: nothing here waits. */
function receive(fd: number): Buffer {
  const answer = Buffer.alloc(answerBytes);
  const size = recv(fd, answer, answer.length, MSG_DONTWAIT);
  if (size < 0) throw new Error(`netlink recv: errno ${koffi.errno()}`);
  return answer.subarray(0, size);
}

function* messagesIn(answer: Buffer): Generator<{ type: number; body: Buffer }> {
  for (let start = 0; start + headerBytes <= answer.length;) {
    const length = answer.readUInt32LE(start);
    if (length < headerBytes || start + length > answer.length) return;
    yield { type: answer.readUInt16LE(start + 4), body: answer.subarray(start + headerBytes, start + length) };
    start += (length + 3) & ~3;
  }
}
