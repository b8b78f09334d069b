import { tcpState, withTcpSockets } from './tcp-sockets.ts';
import type { TcpSocket } from './tcp-sockets.ts';

// A connection that a server has not accepted yet is a descriptor of no process. So CRIU cannot save it.

/**
 * Whether a server inside has connections that it has not accepted yet.
 *
 * @throws sandbox_unreachable if there is no such namespace.
 */
export function hasUnaccepted(namespacePath: string): boolean {
  return withTcpSockets(namespacePath, (sockets) =>
    sockets.list().some(({ state, waiting }) => state === tcpState.listen && waiting > 0),
  );
}

/**
 * Resets the connections that no server inside has accepted yet. Their clients see the end of a connection instead of
 * waiting for an answer that never comes. A server still accepts what the kernel had established, and finds it closed.
 * Returns the number of ended connections.
 *
 * @throws sandbox_unreachable if there is no such namespace.
 */
export function closeUnaccepted(namespacePath: string): number {
  return withTcpSockets(namespacePath, (sockets) => {
    const doomed = sockets.list().filter(isUnaccepted);
    for (const connection of doomed) sockets.destroy(connection);
    return doomed.length;
  });
}

/** A connection that a process has closed has no inode either, but is in another state. */
function isUnaccepted({ state, inode }: TcpSocket): boolean {
  return (
    inode === 0 && (state === tcpState.established || state === tcpState.closeWait || state === tcpState.synReceived)
  );
}
