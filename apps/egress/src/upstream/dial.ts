import type { Socket } from 'node:net';
import type { EgressProxy } from '../policies/policed-sandbox.ts';

/** A TCP connection to the outside. The socket is connected, and paused or without a reader. */
export interface Dialed {
  readonly socket: Socket;
  /** The checked address of the destination, also if a proxy connects to it. */
  readonly address: string;
}

/**
 * Connects directly to a host (a name or an IPv4 address): resolves it by our own resolver, checks the address against
 * `packages/network/outside`, and connects to exactly that address. Throws `EgressRefusal` with `name_unknown`,
 * `forbidden_address` or `upstream_failed`, and the reason of the signal. The socket belongs to the caller.
 */
export type DialDirectly = (host: string, port: number, signal: AbortSignal) => Promise<Dialed>;

/**
 * Connects to an address through a SOCKS5 proxy. `dialDirectly` connects to the proxy itself. The socket that it returns
 * is past the handshake. It stops reading and destroys what it opened when the signal aborts. Throws `EgressRefusal` with
 * `proxy_failed`.
 */
export type DialThroughProxy = (options: {
  readonly proxy: EgressProxy;
  readonly destination: { readonly address: string; readonly port: number };
  readonly dialDirectly: DialDirectly;
  readonly signal: AbortSignal;
}) => Promise<Socket>;
