import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Duplex } from 'node:stream';

/**
 * The options of every client connection. `allowHalfOpen`: Node's HTTP server itself decides what a half-closed client
 * means.
 */
export const tcpOptions = {
  allowHalfOpen: true,
  noDelay: true,
  // Detects clients that vanished silently. The kernel's default is two hours.
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
} as const;

export interface Listener {
  readonly port: number;
  /** Accepts no more connections, and closes those that no HTTP server has taken over yet. */
  stop(): void;
}

/** An address, or a socket that is already bound (docs/decisions/032-three-processes.md). */
export type Place = { readonly host: string; readonly port: number } | { readonly fd: number };

/** Binds the server. Rejects with Node's error if the port is in use. */
export async function listen(
  server: Server,
  options: { place: Place; maxConnections: number; pending: ReadonlySet<Duplex> },
): Promise<Listener> {
  server.maxConnections = options.maxConnections;
  server.listen({ ...options.place, backlog: 1024 });
  await once(server, 'listening');
  // A failed accept (too many open files) must not end the process.
  server.on('error', () => undefined);
  return {
    // A Unix socket has none.
    port: (server.address() as AddressInfo | null)?.port ?? 0,
    stop() {
      server.close();
      for (const connection of options.pending) connection.destroy();
    },
  };
}
