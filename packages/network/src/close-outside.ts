import { addressFamily } from '@soulbox/linux/sockets';
import { inner } from './address-plan.ts';
import { numberFromAddress } from './cidr.ts';
import { diagnoseSockets } from './socket-diagnosis.ts';
import { allStatesExcept, destroyTcpSocket, listTcpSockets, tcpState } from './tcp-sockets.ts';
import type { TcpSocket } from './tcp-sockets.ts';

/** States with a peer that can be notified. */
const connectedStates = allStatesExcept(tcpState.closed, tcpState.timeWait, tcpState.listen);

/**
 * Ends every TCP connection of a namespace whose other end is not inside: connections to an outside peer, which
 * receives a reset, and connections that the host opened into the namespace. Connections between processes of the
 * sandbox stay. The sandbox should be frozen, otherwise it may open new connections meanwhile. Returns the number of
 * ended connections. Takes less than a millisecond. `hostUid` is the owner of the host's connections; no process of a
 * sandbox has it as its own.
 *
 * @throws sandbox_unreachable if there is no such namespace.
 */
export function closeOutside(namespacePath: string, hostUid = process.geteuid?.() ?? 0): number {
  return diagnoseSockets(namespacePath, (netlink) => {
    const doomed = listTcpSockets(netlink, connectedStates).filter((socket) => isOutside(socket, hostUid));
    for (const connection of doomed) destroyTcpSocket(netlink, connection);
    return doomed.length;
  });
}

function isOutside({ family, peer, uid, inode }: TcpSocket, hostUid: number): boolean {
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
