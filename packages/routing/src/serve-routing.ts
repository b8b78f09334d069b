import type { ConnectError, ConnectRouter } from '@connectrpc/connect';
import { Socket } from 'node:net';
import { errorFromUnknown, sleep, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { connectErrorFromError, envdPort } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter } from '@soulbox/contract';
import { RoutingService } from '@soulbox/contract/routing';
import { handOver } from './hand-over.ts';
import { routeToMessage } from './route-message.ts';
import { createSession } from './session.ts';
import type { FeedMessage, Session } from './session.ts';

/** Routes in one message of a first table. */
const routesPerMessage = 500;
/** A watcher that stands still holds up a pause or an end for no longer than this; the kernel resets its connections then. */
const confirmTimeoutMs = 1000;

/** What the runner must tell of its routes for others to have a table of them. */
export interface RouteSource extends SandboxRouter {
  routes(): SandboxRoute[];
  /** Called after whatever may have changed the route of a sandbox, in the same turn. */
  onChange(listener: (sandboxId: string) => void): () => void;
  /** Whether it has no route yet, but will have one in a moment, and can be dialled. */
  isExpected(sandboxId: string): boolean;
}

/** Routes as a row of changes, for any number of watchers. */
export interface RouteFeed extends Disposable {
  readonly source: RouteSource;
  /** Of the newest change. */
  position(): bigint;
  /** `channel`: where the watcher takes connections that it did not ask for; undefined: it takes none. */
  open(channel: number | undefined): Session;
  find(sessionId: string): Session | undefined;
}

/** One for all watchers, for as long as the runner lives. */
export function createRouteFeed(source: RouteSource, logger: Logger): RouteFeed {
  const sessions = new Map<string, Session>();
  /** As they were sent. */
  const known = new Map(source.routes().map((route) => [route.sandboxId, fingerprintOf(route)]));
  const changed = new Set<string>();
  // Also greater than that of a runner before this one, whom watchers may remember.
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
    const message: FeedMessage = { position, routes: routes.map(routeToMessage), removed, gone };
    for (const session of sessions.values()) session.send(message);
  };

  /** Those that connections were opened into already. */
  const expected = new Set<string>();
  /** Opens a connection to envd for each watcher that takes it, while the claim waits for envd. */
  const handAhead = async (sandboxId: string): Promise<void> => {
    for (const session of [...sessions.values()]) {
      if (session.channel === undefined) continue;
      const connection = await source.dial(sandboxId, envdPort).catch(() => undefined);
      if (!(connection instanceof Socket)) continue;
      // Whoever has been told that it is gone is told of no connection afterwards.
      if (source.find(sandboxId)?.state !== 'running' && !source.isExpected(sandboxId)) {
        connection.destroy();
        continue;
      }
      try {
        const handed = handOver(connection, session.channel);
        session.holds(sandboxId);
        session.send({ position, opened: [{ sandboxId, port: envdPort, ...handed }] });
      } catch (err) {
        // The sandbox has closed it already, or the watcher takes too few. The first request opens one.
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
    // What one turn changes goes out as one.
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
    position() {
      flush();
      return position;
    },
    open(channel) {
      flush();
      const session = createSession(channel, ({ id }) => sessions.delete(id));
      const routes = source.routes();
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

/** `channel`: the end of a descriptor pair whose other end the caller of these routes has. */
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
    async *watchRoutes({ takesConnections }, { signal }) {
      using session = feed.open(takesConnections ? channel : undefined);
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
    getRoutesPosition: answer(() => ({ position: feed.position() })),
    dial: answer(async ({ session, sandboxId, port }) => {
      // Before it is open: whatever ends the sandbox in between waits for the caller, too.
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

/** True when `ms` passed first. */
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
