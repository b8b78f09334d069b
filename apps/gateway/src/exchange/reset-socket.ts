import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/**
 * Ends a connection with RST where it is plain TCP. On TLS it closes without `close_notify`, which clients report as
 * an error as well.
 */
export function resetSocket(socket: Duplex): void {
  if (socket.destroyed) return;
  // Node refuses a reset of anything that is not a TCP handle, and reports that as an error of its own.
  if (socket instanceof Socket && !(socket instanceof TLSSocket) && socket.remoteFamily !== undefined)
    socket.resetAndDestroy();
  else socket.destroy();
}
