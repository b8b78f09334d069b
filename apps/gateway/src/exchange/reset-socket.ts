import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/**
 * Ends a plain TCP connection with RST. A TLS connection is closed without `close_notify`, which clients report as an
 * error, too.
 */
export function resetSocket(socket: Duplex): void {
  if (socket.destroyed) return;
  // Node cannot reset anything except a TCP handle, and reports the attempt as an additional error.
  if (socket instanceof Socket && !(socket instanceof TLSSocket) && socket.remoteFamily !== undefined)
    socket.resetAndDestroy();
  else socket.destroy();
}
