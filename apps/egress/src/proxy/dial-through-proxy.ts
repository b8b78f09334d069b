import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SocksClient } from 'socks';
import { EgressRefusal } from '../judge/refusal.ts';
import type { DialThroughProxy } from '../upstream/dial.ts';

const handshakeTimeoutMs = 10_000;

/**
 * Connects through a SOCKS5 proxy (RFC 1928, sign-in of RFC 1929). The proxy gets the address that was checked, never the
 * name: otherwise it could resolve the name to another address, and nobody would have judged that one.
 */
export const dialThroughProxy: DialThroughProxy = async ({ proxy, destination, dialDirectly, signal }) => {
  const { host, port, credentials } = proxy;
  const { socket, address } = await dialDirectly(host, port, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new EgressRefusal('proxy_failed', { cause });
  });
  const end = (): void => void socket.destroy();
  signal.addEventListener('abort', end, { once: true });
  // Between two listeners of the library an error would be uncaught.
  socket.on('error', () => undefined);
  try {
    await SocksClient.createConnection({
      command: 'connect',
      proxy: {
        ...{ host: address, port, type: 5 },
        ...(credentials === undefined ? {} : { userId: credentials.username, password: credentials.password.reveal() }),
      },
      destination: { host: destination.address, port: destination.port },
      existing_socket: socket,
      timeout: handshakeTimeoutMs,
    });
    await keepEarlyBytes(socket);
    signal.throwIfAborted();
    return socket;
  } catch (cause) {
    socket.destroy();
    signal.throwIfAborted();
    // The error of the library contains its options, and with them the password.
    throw new EgressRefusal('proxy_failed', {
      cause: new Error(cause instanceof Error ? cause.message : 'no SOCKS5 proxy'),
    });
  } finally {
    signal.removeEventListener('abort', end);
  }
};

/** The library emits what came with the last message of the handshake in the next turn, and lets the socket flow. */
async function keepEarlyBytes(socket: Socket): Promise<void> {
  const early: Buffer[] = [];
  const keep = (chunk: Buffer): void => void early.push(chunk);
  socket.on('data', keep);
  await nextTurn();
  socket.pause();
  socket.off('data', keep);
  if (early.length > 0) socket.unshift(Buffer.concat(early));
}
