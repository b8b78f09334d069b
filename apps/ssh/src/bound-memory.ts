import type { Socket } from 'node:net';
import type { ServerChannel } from 'ssh2';
import { windowOf } from './library.ts';
import {
  incomingOfAllBytes,
  incomingOfConnectionBytes,
  outgoingHighBytes,
  outgoingLowBytes,
  outgoingMaxBytes,
  outgoingOfAllBytes,
  strangerBytesMax,
  windowExcessBytes,
} from './limits.ts';

/** What waits in this process, of all connections. */
export interface MemoryBudget {
  /** Bytes from clients that wait for sandboxes. */
  incoming: number;
  /** Bytes that wait for the sockets of clients. */
  outgoing: number;
  /** Connections that have signed in. */
  connections: number;
}

export const createMemoryBudget = (): MemoryBudget => ({ incoming: 0, outgoing: 0, connections: 0 });

/** The fewest shares of what waits from clients, so that a few connections can use more than their part. */
const sharesMin = 16;

/**
 * Cuts a connection that makes this process keep too much. The library neither enforces the windows that it has granted
 * nor looks whether the client reads the answers.
 */
export interface MemoryBound {
  /** The client has signed in. */
  signedIn(): void;
  watch(channel: ServerChannel): void;
  /** Whether the socket takes output. */
  hasRoom(): boolean;
  cut(why: string): void;
}

export function boundMemory(socket: Socket, budget: MemoryBudget, cut: (why: string) => void): MemoryBound {
  const channels = new Set<ServerChannel>();
  const counted = { incoming: 0, outgoing: 0 };
  const note = (way: 'incoming' | 'outgoing', held: number): void => {
    budget[way] += held - counted[way];
    counted[way] = held;
  };
  const count = (): void => {
    let held = 0;
    for (const channel of channels) held += channel.readableLength;
    note('incoming', held);
    note('outgoing', socket.destroyed ? 0 : socket.writableLength);
  };
  const look = (): void => {
    count();
    if (counted.outgoing > outgoingMaxBytes) cut('it does not read');
    else if (budget.outgoing > outgoingOfAllBytes && counted.outgoing > 2 * outgoingHighBytes)
      cut('too much waits for clients');
    else if (counted.incoming > incomingOfConnectionBytes) cut('it sent more than it may');
    else if (
      budget.incoming > incomingOfAllBytes &&
      counted.incoming > incomingOfAllBytes / Math.max(sharesMin, budget.connections)
    )
      cut('too much waits for sandboxes');
    for (const channel of channels)
      if (windowOf(channel) < -windowExcessBytes) {
        cut('it sent more than the windows allow');
        return;
      }
  };
  const lookAtStranger = (): void => {
    if (socket.bytesRead > strangerBytesMax) cut('it sent too much before it signed in');
  };
  socket.on('data', lookAtStranger);
  socket.on('drain', count);
  let isIn = false;
  socket.once('close', () => {
    channels.clear();
    count();
    if (isIn) budget.connections -= 1;
  });
  return {
    signedIn() {
      isIn = true;
      budget.connections += 1;
      socket.off('data', lookAtStranger);
      // After the library's own listener, which has handled the same bytes.
      socket.on('data', look);
    },
    watch(channel) {
      channels.add(channel);
      channel.once('close', () => {
        channels.delete(channel);
        count();
      });
    },
    hasRoom() {
      count();
      return counted.outgoing <= (budget.outgoing > outgoingOfAllBytes ? outgoingLowBytes : outgoingHighBytes);
    },
    cut,
  };
}
