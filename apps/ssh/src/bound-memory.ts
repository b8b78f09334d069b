import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { incomingOfAllBytes, incomingOfConnectionBytes, outgoingMaxBytes, strangerBytesMax } from './limits.ts';

/** Bytes from clients that wait for sandboxes, of all connections. */
export interface IncomingBudget {
  total: number;
}

/**
 * Cuts a connection that makes this process keep too much. The library neither enforces the windows that it has granted
 * nor looks whether the client reads the answers.
 */
export interface MemoryBound {
  /** The client has signed in. */
  signedIn(): void;
  watch(channel: Duplex): void;
}

export function boundMemory(socket: Socket, budget: IncomingBudget, cut: (why: string) => void): MemoryBound {
  const channels = new Set<Duplex>();
  let isStranger = true;
  let counted = 0;
  const count = (): void => {
    let held = 0;
    for (const channel of channels) held += channel.readableLength;
    budget.total += held - counted;
    counted = held;
  };
  // After the library's own listener, which has handled the same bytes.
  socket.on('data', () => {
    if (isStranger && socket.bytesRead > strangerBytesMax) cut('it sent too much before it signed in');
    else if (socket.writableLength > outgoingMaxBytes) cut('it does not read');
    if (channels.size === 0) return;
    count();
    if (counted > incomingOfConnectionBytes) cut('it sent more than the windows allow');
    else if (budget.total > incomingOfAllBytes && counted > incomingOfAllBytes / 16)
      cut('too much waits for sandboxes');
  });
  socket.once('close', () => {
    channels.clear();
    count();
  });
  return {
    signedIn: () => (isStranger = false),
    watch(channel) {
      channels.add(channel);
      channel.once('close', () => {
        channels.delete(channel);
        count();
      });
    },
  };
}
