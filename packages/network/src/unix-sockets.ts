import { netlinkFlags } from '@soulbox/linux/netlink';
import type { NetlinkSocket } from '@soulbox/linux/netlink';
import { addressFamily } from '@soulbox/linux/sockets';
import { listSockets } from './socket-diagnosis.ts';

// linux/unix_diag.h
const requestBytes = 24;
const show = { connecting: 1 << 3, lengths: 1 << 4 } as const;
const attribute = { connecting: 3, lengths: 4 } as const;
const answerBytes = 16;

/** include/net/tcp_states.h, which Unix sockets use too. */
const connectedOrListening = (1 << 1) | (1 << 10);

/** Reading so many takes this thread 50 ms. A sandbox decides how many there are. */
const socketsMax = 20_000;

/** A connected or listening Unix socket of a namespace. */
export interface UnixSocket {
  readonly inode: number;
  /** Of a listening socket: the inodes of the clients whose connections it has not accepted yet. */
  readonly connecting: readonly number[];
  /** Memory of what it has sent and its peer has not read. Of a listening socket: the length of its queue. */
  readonly unread: number;
}

/**
 * Connected and listening Unix sockets of a namespace: all, or about 20,000 if there are more. `netlink` is one for
 * `socketDiagnosis` and can only be closed afterwards.
 */
export function listUnixSockets(netlink: NetlinkSocket): UnixSocket[] {
  // struct unix_diag_req: family, protocol, padding, states, inode, what to show, cookie.
  const body = Buffer.alloc(requestBytes);
  body.writeUInt8(addressFamily.unix, 0);
  body.writeUInt32LE(connectedOrListening, 4);
  body.writeUInt32LE(show.connecting | show.lengths, 12);
  const flags = netlinkFlags.request | netlinkFlags.dump;
  return netlink.dump({ type: listSockets, flags, body, what: 'list Unix sockets' }, socketsMax).map(socketFrom);
}

/** `message` is a struct unix_diag_msg (family, type, state, padding, inode, cookie) with attributes. */
function socketFrom(message: Buffer): UnixSocket {
  let connecting: number[] = [];
  let unread = 0;
  for (let at = answerBytes; at + 4 <= message.length;) {
    const end = at + Math.max(4, message.readUInt16LE(at));
    const type = message.readUInt16LE(at + 2);
    if (type === attribute.connecting)
      connecting = Array.from({ length: (end - at - 4) / 4 }, (_, index) => message.readUInt32LE(at + 4 + 4 * index));
    // struct unix_diag_rqlen: what it has to read, what it has sent.
    if (type === attribute.lengths) unread = message.readUInt32LE(at + 8);
    at = (end + 3) & ~3;
  }
  return { inode: message.readUInt32LE(4), connecting, unread };
}
