import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { gone } from './dial.ts';

/** How long a service has for its part of the handshake. Milliseconds. */
const handshakeMs = 10_000;

/**
 * Speaks TLS to a service in a sandbox. Its certificate is not checked, as with E2B: the connection does not leave the
 * host, and the sandbox could sign whatever it wants. Rejects with the error of the handshake. The caller owns the
 * result, and the connection that was given is closed with it.
 */
export async function startBackendTls(
  connection: Duplex,
  options: {
    readonly sandboxId: string;
    readonly protocol: 'http/1.1' | 'h2';
    /** True once the sandbox is no longer served. */
    readonly isGone: () => boolean;
  },
): Promise<TLSSocket> {
  const socket = connect({ socket: connection, rejectUnauthorized: false, ALPNProtocols: [options.protocol] });
  return await new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.on('error', () => undefined).destroy();
      connection.on('error', () => undefined).destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`no TLS handshake within ${handshakeMs} ms`)), handshakeMs);
    const onClose = (): void => fail(new Error('the service closed the connection in the TLS handshake'));
    socket.once('error', fail).once('close', onClose);
    socket.once('secureConnect', () => {
      if (options.isGone()) {
        fail(gone(options.sandboxId));
        return;
      }
      clearTimeout(timer);
      socket.off('error', fail).off('close', onClose);
      resolve(socket);
    });
  });
}
