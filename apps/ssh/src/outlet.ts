import type { Socket } from 'node:net';
import type { Connection } from 'ssh2';
import type { MemoryBound } from './bound-memory.ts';
import { isExchangingKeys } from './library.ts';
import { exchangeMs, exchangesPerMinute } from './limits.ts';

/** The way to the client of one connection, which its channels share. */
export interface Outlet {
  /** Whether the client takes output. */
  hasRoom(): boolean;
  readonly isClosed: () => boolean;
  /** Calls back when one of these may have changed, until the returned function is called. */
  onChange(call: () => void): () => void;
}

/**
 * While keys are exchanged, the library keeps all output in memory, and a client may begin an exchange at any time. So
 * output waits for its end, and clients that do not end it, or do nothing else, are cut.
 */
export function createOutlet(client: Connection, socket: Socket, memory: MemoryBound): Outlet {
  const calls = new Set<() => void>();
  const change = (): void => {
    for (const call of calls) call();
  };
  let timer: NodeJS.Timeout | undefined;
  let exchanges: number[] = [];
  const look = (): void => {
    if (isExchangingKeys(client))
      timer ??= setTimeout(() => memory.cut('it does not finish an exchange of keys'), exchangeMs);
  };
  const finish = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const now = performance.now();
    exchanges = [...exchanges.filter((time) => now - time < 60_000), now];
    if (exchanges.length > exchangesPerMinute) memory.cut('it exchanges keys too often');
    change();
  };
  look();
  // After the library's own listener, which has handled the same bytes.
  socket.on('data', look);
  client.on('handshake', finish);
  socket.on('drain', change);
  socket.once('close', () => {
    clearTimeout(timer);
    change();
  });
  return {
    hasRoom: () => !isExchangingKeys(client) && memory.hasRoom(),
    isClosed: () => socket.destroyed,
    onChange(call) {
      calls.add(call);
      return () => void calls.delete(call);
    },
  };
}
