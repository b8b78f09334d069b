import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import type { Client, Transport } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import type { SandboxRouter } from '@soulbox/contract';
import { RoutingService } from '@soulbox/contract/routing';
import type { OpenedConnection, WatchRoutesResponse } from '@soulbox/contract/routing';
import type { DescriptorReceiver } from '@soulbox/process';
import { takeOver } from './hand-over.ts';
import { routeFromMessage } from './route-message.ts';
import { createRouteTable } from './route-table.ts';
import type { RouteTable } from './route-table.ts';
import { createVisits } from './visits.ts';

/** How long calls wait for a runner that restarts. A request that waited this long fails. */
const patienceMs = 5000;
/** Delay between two attempts to reach the runner. */
const retryMs = 25;
/** Opening a connection inside a sandbox takes 10 s at most. After this timeout no answer will come. */
const dialTimeoutMs = 20_000;
const shortTimeoutMs = 5000;

/**
 * The router of another process. Its `find...` methods read a local table, which stays available while the runner is
 * away.
 */
export interface RemoteRouter extends SandboxRouter, Disposable {
  /** Resolves once the table is complete for the first time. */
  readonly fed: Promise<void>;
}

/**
 * Begins to fill the table at once. `receiver` has the other end of the channel on which the runner hands over
 * connections.
 */
export function connectRouting(options: {
  readonly transport: Transport;
  readonly receiver: DescriptorReceiver;
  /** Whether the runner should open connections in advance for `onOpened`. Default: no. */
  readonly takesConnections?: boolean;
  /** Only sandboxes whose metadata has this key are in the table. Default: all. */
  readonly metadataKey?: string;
  readonly logger: Logger;
}): RemoteRouter {
  const { transport, receiver, takesConnections = false, metadataKey = '', logger } = options;
  const client = createClient(RoutingService, transport);
  const stop = new AbortController();
  const listeners = new Set<(sandboxId: string) => unknown>();
  const openedListeners = new Set<Parameters<SandboxRouter['onOpened']>[0]>();
  const fed = Promise.withResolvers<undefined>();
  const arrivals = new Set<() => void>();
  /**
   * Sandboxes that may have connections from here. The runner waits for our confirmation only when one of these goes
   * away.
   */
  const dialled = new Set<string>();
  let table = createRouteTable();
  let position = 0n;
  let session = '';

  const tellGone = (sandboxId: string): void => {
    for (const listener of listeners) listener(sandboxId);
  };
  const visits = createVisits(async ({ opened, closed }) => {
    if (session === '') return;
    // A lost report is repeated when the runner is back.
    await client.reportVisits({ session, opened, closed }, { timeoutMs: shortTimeoutMs }).catch(() => undefined);
  });
  const confirm = (): void => {
    client.confirmRoutes({ session, position }, { timeoutMs: shortTimeoutMs }).catch((err: unknown) => {
      logger.debug({ err }, 'the runner did not hear that connections are closed');
    });
  };
  const arrived = (newest: bigint): void => {
    position = newest;
    for (const arrival of arrivals) arrival();
  };

  const keepOpened = ({ sandboxId, port, ticket, head }: OpenedConnection): void => {
    const fd = receiver.take(ticket);
    if (fd === undefined) return;
    dialled.add(sandboxId);
    const connection = takeOver(fd, head);
    for (const listener of openedListeners) listener(sandboxId, port, connection);
    if (openedListeners.size === 0) connection.destroy();
  };
  const take = (message: WatchRoutesResponse): void => {
    for (const route of message.routes) table.put(routeFromMessage(route));
    for (const opened of message.opened) keepOpened(opened);
    for (const sandboxId of message.removed) table.remove(sandboxId);
    for (const sandboxId of message.gone) tellGone(sandboxId);
    arrived(message.position);
    if (message.gone.filter((sandboxId) => dialled.delete(sandboxId)).length > 0) confirm();
  };
  /** Replaces the present table, which may belong to an earlier runner, by a complete new one. */
  const replace = (next: RouteTable, { session: named, position: newest }: WatchRoutesResponse): void => {
    const before = table;
    table = next;
    session = named;
    const served = [...before.all()].filter(({ state }) => state === 'running').map(({ sandboxId }) => sandboxId);
    for (const sandboxId of new Set([...served, ...dialled])) {
      if (next.find(sandboxId)?.state === 'running') continue;
      dialled.delete(sandboxId);
      tellGone(sandboxId);
    }
    arrived(newest);
    fed.resolve(undefined);
    const opened = visits.open();
    if (opened.length > 0)
      client.reportVisits({ session, opened }, { timeoutMs: shortTimeoutMs }).catch(() => undefined);
  };

  const follow = async (): Promise<void> => {
    let next: RouteTable | undefined = createRouteTable();
    for await (const message of client.watchRoutes({ takesConnections, metadataKey }, { signal: stop.signal })) {
      if (next === undefined) {
        take(message);
        continue;
      }
      for (const route of message.routes) next.put(routeFromMessage(route));
      if (!message.isWhole) continue;
      replace(next, message);
      next = undefined;
      logger.debug({ position: String(position) }, 'routes of the runner are followed');
    }
  };
  const followForEver = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await follow().catch((err: unknown) => {
        if (!stop.signal.aborted) logger.debug({ err }, 'the runner is away');
      });
      session = '';
      await sleep(retryMs);
    }
  };
  void followForEver();

  const hasArrived = async (wanted: bigint): Promise<void> => {
    if (position >= wanted) return;
    let arrival = (): void => undefined;
    const came = new Promise<true>((resolve) => {
      arrival = () => {
        if (position >= wanted) resolve(true);
      };
    });
    arrivals.add(arrival);
    const isHere = await Promise.race([came, sleep(patienceMs).then(() => false)]);
    arrivals.delete(arrival);
    if (!isHere) throw away();
  };
  /**
   * All callers during a running call share the next call, because the running one may have begun too early for them.
   */
  const refresh = shareNext(async () => {
    const newest = await patiently(() => client.getRoutesPosition({ session }, { timeoutMs: shortTimeoutMs }));
    await hasArrived(newest.position);
  });

  return {
    fed: fed.promise,
    find: (sandboxId) => table.find(sandboxId),
    findBySignature: (request, signature) => table.findBySignature(request, signature),
    signatureTokens: () => table.signatureTokens(),
    findByAccessToken: (token) => table.findByAccessToken(token),
    refresh,
    dial: async (sandboxId, port) => {
      dialled.add(sandboxId);
      return await dial({ client, receiver }, { session: () => session, sandboxId, port });
    },
    wake: async (sandboxId) => {
      await patiently(() => client.wake({ sandboxId }));
    },
    settled: async (sandboxId) => {
      await patiently(() => client.settle({ sandboxId }));
    },
    // A report costs two calls, and most sandboxes have no idle timeout.
    enter: (sandboxId) => (table.find(sandboxId)?.countsVisits === false ? noVisit : visits.enter(sandboxId)),
    onGone(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onOpened(listener) {
      openedListeners.add(listener);
      return () => openedListeners.delete(listener);
    },
    [Symbol.dispose]() {
      stop.abort();
      visits[Symbol.dispose]();
      receiver[Symbol.dispose]();
    },
  };
}

const noVisit: Disposable = { [Symbol.dispose]: () => undefined };

async function dial(
  { client, receiver }: { client: Client<typeof RoutingService>; receiver: DescriptorReceiver },
  { session, sandboxId, port }: { session: () => string; sandboxId: string; port: number },
): ReturnType<SandboxRouter['dial']> {
  const { ticket, head } = await patiently(() =>
    client.dial({ session: session(), sandboxId, port }, { timeoutMs: dialTimeoutMs }),
  );
  const fd = receiver.take(ticket);
  if (fd === undefined) throw away();
  return takeOver(fd, head);
}

/** Retries while the runner is away. All calls made here may safely be repeated. */
async function patiently<T>(call: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    try {
      return await call();
    } catch (thrown) {
      const error = errorFromConnect(thrown);
      if (error.reason !== 'runner_unavailable' || performance.now() >= giveUpAt) throw error;
      await sleep(retryMs);
    }
  }
}

function away(): SoulBoxError {
  return new SoulBoxError('runner_unavailable', 'The runner cannot be reached right now. Retry in a moment.');
}

function shareNext(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const start = async (): Promise<void> => {
    next = undefined;
    running = work().finally(() => (running = undefined));
    await running;
  };
  return async () => {
    if (running === undefined) await start();
    else await (next ??= running.catch(() => undefined).then(start));
  };
}
