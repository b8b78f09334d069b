import type { ConnectError, ConnectRouter } from '@connectrpc/connect';
import { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorFromUnknown, sleep, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { connectErrorFromError, envdPort } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';
import { RoutingService } from '@soulbox/contract/routing';
import { handOver } from './hand-over.ts';
import { routeToMessage } from './route-message.ts';
import { createSession } from './session.ts';
import type { RouteChange, Session } from './session.ts';

/** Routes per message of the first table. */
const routesPerMessage = 500;
/** A stuck watcher delays a pause or an end no longer than this. After that the kernel resets its connections. */
const confirmTimeoutMs = 1000;

/** What the runner must provide so that other processes can have a table of its routes. */
export interface RouteSource extends SandboxRouter {
  routes(): SandboxRoute[];
  /**
   * The listener is called after any event that may have changed the route of a sandbox, in the same turn of the event
   * loop.
   */
  onChange(listener: (sandboxId: string) => void): () => void;
  /** Whether the sandbox has no route yet, but will have one in a moment and can already be dialled. */
  isExpected(sandboxId: string): boolean;
  /** Whether a sandbox that has a route has this key in its metadata. */
  hasMetadata(sandboxId: string, key: string): boolean;
}

/** The routes as a sequence of changes, for any number of watchers. */
export interface RouteFeed extends Disposable {
  readonly source: RouteSource;
  /** The position of the newest change, of those that the watcher asked for if the session exists. */
  position(sessionId: string): bigint;
  /**
   * `channel`: where the watcher receives connections that it did not ask for. Undefined: it accepts none.
   * `metadataKey`: only sandboxes with this key in their metadata. Empty: all.
   */
  open(channel: number | undefined, metadataKey: string): Session;
  find(sessionId: string): Session | undefined;
}

/** Creates the feed that serves all watchers as long as the runner lives. */
export function createRouteFeed(source: RouteSource, logger: Logger): RouteFeed {
  const sessions = new Map<string, Session>();
  /** Fingerprints of the routes as they were sent. */
  const known = new Map(source.routes().map((route) => [route.sandboxId, fingerprintOf(route)]));
  const changed = new Set<string>();
  // Greater than any position of an earlier runner, because watchers may remember those.
  let position = BigInt(Date.now()) * 1_000_000n;

  const flush = (gone: string[] = []): void => {
    const routes: SandboxRoute[] = [];
    const removed: string[] = [];
    for (const sandboxId of changed) {
      const route = source.find(sandboxId);
      const fingerprint = route === undefined ? undefined : fingerprintOf(route);
      if (fingerprint === known.get(sandboxId)) continue;
      if (route === undefined || fingerprint === undefined) {
        known.delete(sandboxId);
        removed.push(sandboxId);
      } else {
        known.set(sandboxId, fingerprint);
        routes.push(route);
      }
    }
    changed.clear();
    if (routes.length + removed.length + gone.length === 0) return;
    position += 1n;
    const change: RouteChange = { position, routes: routes.map(routeToMessage), removed, gone };
    for (const session of sessions.values()) session.tell(change);
  };

  /** Sandboxes for which connections were already opened in advance. */
  const expected = new Set<string>();
  /** Opens a connection to envd for each watcher that accepts it, while the claim waits for envd. */
  const handAhead = async (sandboxId: string): Promise<void> => {
    // The claim first writes its record. This work would delay that, and may wait.
    await nextTurn();
    for (const session of [...sessions.values()]) {
      if (session.channel === undefined) continue;
      const connection = await source.dial(sandboxId, envdPort).catch(() => undefined);
      if (!(connection instanceof Socket)) continue;
      // A watcher that was told that the sandbox is gone must not receive a connection afterwards.
      if (source.find(sandboxId)?.state !== 'running' && !source.isExpected(sandboxId)) {
        connection.destroy();
        continue;
      }
      try {
        const handed = handOver(connection, session.channel);
        session.holds(sandboxId);
        session.send({ position, opened: [{ sandboxId, port: envdPort, ...handed }] });
      } catch (err) {
        // The sandbox has already closed it, or the watcher accepts too few. The first request opens one.
        logger.debug({ sandboxId, err }, 'a connection could not be handed over ahead');
      }
    }
  };

  const stopWatching = source.onChange((sandboxId) => {
    if (!source.isExpected(sandboxId)) expected.delete(sandboxId);
    else if (!expected.has(sandboxId)) {
      expected.add(sandboxId);
      void handAhead(sandboxId);
    }
    // All changes of one turn of the event loop go into one message.
    if (changed.size === 0) queueMicrotask(flush);
    changed.add(sandboxId);
  });
  const stopListening = source.onGone(async (sandboxId) => {
    flush([sandboxId]);
    const released = Promise.all([...sessions.values()].map(async (one) => await one.letGo(sandboxId, position)));
    const late = await isLate(released, confirmTimeoutMs);
    if (late) logger.warn({ sandboxId }, 'another process did not close its connections to a sandbox in time');
  });

  return {
    source,
    position(sessionId) {
      flush();
      return sessions.get(sessionId)?.position ?? position;
    },
    open(channel, metadataKey) {
      flush();
      const session = createSession({
        channel,
        isWanted: (sandboxId) => metadataKey === '' || source.hasMetadata(sandboxId, metadataKey),
        onEnd: ({ id }) => sessions.delete(id),
      });
      const routes = source.routes().filter(({ sandboxId }) => session.isWanted(sandboxId));
      for (let start = 0; start === 0 || start < routes.length; start += routesPerMessage) {
        const part = routes.slice(start, start + routesPerMessage).map(routeToMessage);
        const isWhole = start + routesPerMessage >= routes.length;
        session.send({ position, session: session.id, routes: part, isWhole });
      }
      sessions.set(session.id, session);
      return session;
    },
    find: (sessionId) => sessions.get(sessionId),
    [Symbol.dispose]() {
      stopWatching();
      stopListening();
      for (const session of sessions.values()) session[Symbol.dispose]();
    },
  };
}

/** `channel`: one end of a descriptor pair. The caller of these routes has the other end. */
export function addRoutingRoutes(
  router: ConnectRouter,
  { feed, channel, logger }: { feed: RouteFeed; channel: number; logger: Logger },
): void {
  const { source } = feed;
  const translated = (thrown: unknown): ConnectError => {
    const error = errorFromUnknown(thrown);
    if (error.code === 'internal') logger.error({ err: thrown }, 'routing call failed');
    return connectErrorFromError(error);
  };
  const answer =
    <Request, Response>(handle: (request: Request) => Promise<Response> | Response) =>
    async (request: Request): Promise<Response> => {
      try {
        return await handle(request);
      } catch (thrown) {
        throw translated(thrown);
      }
    };

  router.service(RoutingService, {
    async *watchRoutes({ takesConnections, metadataKey }, { signal }) {
      using session = feed.open(takesConnections ? channel : undefined, metadataKey);
      const onAbort = (): void => session[Symbol.dispose]();
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        yield* session.messages();
      } catch (thrown) {
        throw translated(thrown);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    confirmRoutes: answer(({ session, position }) => {
      feed.find(session)?.confirm(position);
      return {};
    }),
    getRoutesPosition: answer(({ session }) => ({ position: feed.position(session) })),
    dial: answer(async ({ session, sandboxId, port }) => {
      // Recorded before the connection is open, so that an end of the sandbox in between also waits for the caller.
      feed.find(session)?.holds(sandboxId);
      const connection = await source.dial(sandboxId, port);
      if (!(connection instanceof Socket)) throw new SoulBoxError('internal', 'Only a socket can be handed over.');
      return handOver(connection, channel);
    }),
    wake: answer(async ({ sandboxId }) => {
      await source.wake(sandboxId);
      return {};
    }),
    settle: answer(async ({ sandboxId }) => {
      await source.settled(sandboxId);
      return {};
    }),
    reportVisits: answer(({ session, opened, closed }) => {
      const found = feed.find(session);
      for (const sandboxId of opened) found?.visit(sandboxId, (entered) => source.enter(entered));
      for (const sandboxId of closed) found?.leave(sandboxId);
      return {};
    }),
  });
}

/** Returns true if `ms` passed before the work was done. */
async function isLate(work: Promise<unknown>, ms: number): Promise<boolean> {
  const limit = new AbortController();
  const late = sleep(ms, limit.signal).then(
    () => true,
    () => false,
  );
  const outcome = await Promise.race([work.then(() => false), late]);
  limit.abort();
  return outcome;
}

function fingerprintOf(route: SandboxRoute): string {
  return JSON.stringify(Object.values(routeToMessage(route)));
}
