import type { FastifyInstance } from 'fastify';
import { headers } from '@soulbox/contract';

/** Work of requests in one turn of the event loop. Those beyond it begin in the next turn. */
const turnMs = 5;
/** A sender that comes counts as having used this much less than the others. It is more than most requests take. */
const creditMs = 10;
/** What one request counts at most: a garbage collection or code that is loaded is not the sender's fault. */
const countedMaxMs = 20;

/** Who sent a request. Owners share the time equally, and so do the connections of each owner. */
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

  const start = (sender: Sender, begin: () => void, andThen: () => void): void => {
    const startedAt = now();
    begin();
    // The tick comes after all microtasks, that is, when the request waits for something else or is answered.
    queueMicrotask(() =>
      process.nextTick(() => {
        const ms = now() - startedAt;
        spentMs += ms;
        waiting.charge(sender, Math.min(ms, countedMaxMs));
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
    const next = waiting.next();
    if (next === undefined) {
      waiting.forget();
      return;
    }
    scheduleTurn();
    start(next.sender, next.begin, beginNext);
  };

  return {
    take: (sender, begin) => {
      scheduleTurn();
      if (spentMs >= turnMs || !waiting.isEmpty()) waiting.add(sender, begin);
      else start(sender, begin, () => undefined);
    },
  };
}

type Begin = () => void;

/** Requests that wait, by owner and connection. */
function createWaiting() {
  const createOwners = () =>
    createShares(
      () => ({
        requests: 0,
        connections: createShares<Begin[]>(
          () => [],
          (line) => line.length > 0,
        ),
      }),
      ({ requests }) => requests > 0,
    );
  let owners = createOwners();
  let requests = 0;
  return {
    isEmpty: () => requests === 0,
    add: ({ owner, connection }: Sender, begin: Begin): void => {
      const of = owners.enter(owner);
      of.connections.enter(connection).push(begin);
      of.requests += 1;
      requests += 1;
    },
    next: (): { sender: Sender; begin: Begin } | undefined => {
      const owner = owners.least();
      const connection = owner?.item.connections.least();
      const begin = connection?.item.shift();
      if (owner === undefined || connection === undefined || begin === undefined) return undefined;
      owner.item.requests -= 1;
      requests -= 1;
      return { sender: { owner: owner.name, connection: connection.name }, begin };
    },
    charge: ({ owner, connection }: Sender, ms: number): void => {
      owners.charge(owner, ms);
      owners.enter(owner).connections.charge(connection, ms);
    },
    /** For a moment when nothing waits: nobody has had too much. */
    forget: () => void (owners = createOwners()),
  };
}

interface Share<T> {
  readonly name: string;
  /** Milliseconds of work, on the clock of its `createShares`. */
  usedMs: number;
  readonly item: T;
}

/**
 * Finds out whose turn it is among named items: of those that wait, the one that has used the least. One that comes
 * counts as having used a little less than the others. So who sends a request now and then is served before those who
 * always have some waiting.
 * This is weighted fair queuing (Demers, Keshav and Shenker, 1989) by CPU time, with equal weights.
 */
function createShares<T>(create: () => T, isWaiting: (item: T) => boolean) {
  const shares = new Map<string, Share<T>>();
  /** The CPU time of an item that always waits. It grows with all work, so newcomers cannot delay others for ever. */
  let clockMs = 0;
  let waiting = 0;
  const enter = (name: string): Share<T> => {
    const share = shares.get(name) ?? { name, usedMs: 0, item: create() };
    if (!isWaiting(share.item)) share.usedMs = Math.max(share.usedMs, clockMs - creditMs);
    shares.set(name, share);
    return share;
  };
  return {
    enter: (name: string): T => enter(name).item,
    least: (): Share<T> | undefined => {
      let least: Share<T> | undefined;
      waiting = 0;
      for (const share of shares.values()) {
        if (isWaiting(share.item)) {
          waiting += 1;
          if (least === undefined || share.usedMs < least.usedMs) least = share;
        } else if (share.usedMs <= clockMs - creditMs) {
          shares.delete(share.name);
        }
      }
      return least;
    },
    charge: (name: string, ms: number): void => {
      enter(name).usedMs += ms;
      clockMs += ms / Math.max(1, waiting);
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
