import type { Socket } from 'node:net';
import type { Connection, ServerChannel, Session } from 'ssh2';

// What the library keeps to itself, although its limits depend on it. The tests of this room fail if it changes.

export const socketOf = (client: Connection): Socket => (client as unknown as { readonly _sock: Socket })._sock;

/** The largest packet that the client takes on the channel. For 0, the library would send empty ones for ever. */
export const packetBytesOf = (channel: Session | ServerChannel): number => {
  const open = channel as unknown as Partial<Side> & { readonly _chanInfo?: Side };
  return (open._chanInfo ?? open).outgoing?.packetSize ?? 0;
};

interface Side {
  readonly outgoing: { readonly packetSize: number };
}
