import { diagnoseSockets } from './socket-diagnosis.ts';
import { destroyTcpSocket, listTcpSockets, tcpState } from './tcp-sockets.ts';
import { listUnixSockets } from './unix-sockets.ts';
import type { UnixSocket } from './unix-sockets.ts';

// A connection that a server has not accepted yet is a descriptor of no process. CRIU cannot save such a TCP connection,
// and such a Unix connection only as long as its client has sent nothing.

/** States of a connection that waits to be accepted. */
const statesWithoutAccept = [tcpState.established, tcpState.closeWait, tcpState.synReceived];

/**
 * Whether a server inside has connections that it has not accepted yet and that cannot be saved.
 *
 * @throws sandbox_unreachable if there is no such namespace.
 */
export function hasUnaccepted(namespacePath: string): boolean {
  return diagnoseSockets(
    namespacePath,
    (netlink) =>
      listTcpSockets(netlink, [tcpState.listen]).some(({ waiting }) => waiting > 0) ||
      hasSender(listUnixSockets(netlink)),
  );
}

/** Whether a client has sent something over a connection that is not accepted. */
function hasSender(sockets: readonly UnixSocket[]): boolean {
  const connecting = new Set(sockets.flatMap((socket) => socket.connecting));
  return sockets.some(({ inode, unread }) => connecting.has(inode) && unread > 0);
}

/**
 * Resets the TCP connections that no server inside has accepted yet. Their clients see the end of a connection instead
 * of waiting for an answer that never comes. A server still accepts what the kernel had established, and finds it
 * closed. Unix connections stay: the kernel offers no way to end them. Returns the number of ended connections.
 *
 * @throws sandbox_unreachable if there is no such namespace.
 */
export function closeUnaccepted(namespacePath: string): number {
  return diagnoseSockets(namespacePath, (netlink) => {
    // A connection that a process has closed has no inode either, but is in another state.
    const doomed = listTcpSockets(netlink, statesWithoutAccept).filter(({ inode }) => inode === 0);
    for (const connection of doomed) destroyTcpSocket(netlink, connection);
    return doomed.length;
  });
}
