import type { FastifyInstance } from 'fastify';
import { headers } from '@soulbox/contract';

/** Work of requests in one turn of the event loop. Those beyond it begin in the next turn. */
const turnMs = 5;

/** Who sent a request. Owners take turns, and so do the connections of each owner. */
export interface Sender {
  /** The credential, which nobody has checked yet. */
  readonly owner: string;
  readonly connection: string;
}

export interface FairTurns {
  /** Calls `begin` at once when there is little to do, otherwise when it is the sender's turn. */
  readonly take: (sender: Sender, begin: () => void) => void;
}

/**
 * Decides which request begins next when many arrive at once. Without it, one that arrives behind 150 others waits until
 * all of them are answered, because records are read on this thread.
 */
export function createFairTurns(now: () => number = () => performance.now()): FairTurns {
  const waiting = createWaiting();
  let spentMs = 0;
  let isTurnAhead = false;

  const start = (begin: () => void, andThen: () => void): void => {
    const startedAt = now();
    begin();
    // The tick comes after all microtasks, that is, when the request waits for something else or is answered.
    queueMicrotask(() =>
      process.nextTick(() => {
        spentMs += now() - startedAt;
        andThen();
      }),
    );
  };
  const scheduleTurn = (): void => {
    if (isTurnAhead) return;
    isTurnAhead = true;
    setImmediate(() => {
      isTurnAhead = false;
      spentMs = 0;
      beginNext();
    });
  };
  const beginNext = (): void => {
    if (spentMs >= turnMs) {
      scheduleTurn();
      return;
    }
    const begin = waiting.next();
    if (begin === undefined) return;
    scheduleTurn();
    start(begin, beginNext);
  };

  return {
    take: (sender, begin) => {
      scheduleTurn();
      if (spentMs >= turnMs || !waiting.isEmpty()) waiting.add(sender, begin);
      else start(begin, () => undefined);
    },
  };
}

type Begin = () => void;

/** Maps keep the order of their insertion: who was served moves to the end. */
function createWaiting() {
  const owners = new Map<string, Map<string, Begin[]>>();
  return {
    isEmpty: () => owners.size === 0,
    add: ({ owner, connection }: Sender, begin: Begin): void => {
      const connections = owners.get(owner) ?? new Map<string, Begin[]>();
      owners.set(owner, connections);
      const line = connections.get(connection);
      if (line === undefined) connections.set(connection, [begin]);
      else line.push(begin);
    },
    next: (): Begin | undefined => {
      for (const [owner, connections] of owners) {
        owners.delete(owner);
        for (const [connection, line] of connections) {
          connections.delete(connection);
          const begin = line.shift();
          if (line.length > 0) connections.set(connection, line);
          if (connections.size > 0) owners.set(owner, connections);
          return begin;
        }
      }
      return undefined;
    },
  };
}

/** Begins requests in fair turns. Its hook is the first, so that nothing is done for a request that waits. */
export function takeFairTurns(app: FastifyInstance): void {
  const turns = createFairTurns();
  app.addHook('onRequest', ({ headers: of }, _reply, done) => {
    const owner = String(of[headers.apiKey] ?? of.authorization ?? '');
    turns.take({ owner, connection: String(of[headers.connection] ?? '') }, done);
  });
}
