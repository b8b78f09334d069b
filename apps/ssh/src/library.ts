import type { Socket } from 'node:net';
import type { Connection, ServerChannel, Session } from 'ssh2';
import type { Protocol } from 'ssh2/lib/protocol/handlers.js';

// What the library keeps to itself, although its limits depend on it. The tests of this room fail if it changes.

export const socketOf = (client: Connection): Socket => (client as unknown as { readonly _sock: Socket })._sock;

export const protocolOf = (client: Connection): Protocol =>
  (client as unknown as { readonly _protocol: Protocol })._protocol;

/** The largest packet that the client takes on the channel. For 0, the library would send empty ones for ever. */
export const packetBytesOf = (channel: Session | ServerChannel): number => {
  const open = channel as unknown as Partial<Side> & { readonly _chanInfo?: Side };
  return (open._chanInfo ?? open).outgoing?.packetSize ?? 0;
};

interface Side {
  readonly outgoing: { readonly packetSize: number };
}

/** Whether the library keeps output back until new keys have been exchanged. */
export const isExchangingKeys = (client: Connection): boolean =>
  (client as unknown as { readonly _protocol: { readonly _kexinit?: unknown } })._protocol._kexinit !== undefined;

/** The bytes that the client may still send on the channel. Less than 0: it has sent more than it may. */
export const windowOf = (channel: ServerChannel): number =>
  (channel as unknown as { readonly incoming: { readonly window: number } }).incoming.window;

/**
 * Forgets what has waited for the client's window and is written. The library would write it once more when the other one
 * of standard output and standard error has waited.
 */
export function forgetWritten(channel: ServerChannel): void {
  const none = undefined;
  Object.assign(channel, { _chunk: none, _chunkcb: none, _chunkErr: none, _chunkcbErr: none });
}
