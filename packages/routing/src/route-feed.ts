import { sleepUnlessAborted } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { handAhead } from './hand-ahead.ts';
import { createRouteChanges } from './route-changes.ts';
import { routeToMessage } from './route-message.ts';
import type { RouteSource } from './route-source.ts';
import { createSession } from './session.ts';
import type { RouteChange, Session } from './session.ts';

/** Routes per message of the first table. */
const routesPerMessage = 500;
/** A stuck watcher delays a pause or an end no longer than this. After that the kernel resets its connections. */
const confirmTimeoutMs = 1000;

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
  const changes = createRouteChanges(source);
  // Greater than any position of an earlier runner, because watchers may remember those.
  let position = BigInt(Date.now()) * 1_000_000n;

  const flush = (gone: string[] = []): void => {
    const { routes, removed } = changes.take();
    if (routes.length + removed.length + gone.length === 0) return;
    position += 1n;
    const change: RouteChange = { position, routes, removed, gone };
    for (const session of sessions.values()) session.tell(change);
  };

  /** Sandboxes for which connections were already opened in advance. */
  const expected = new Set<string>();
  const stopWatching = source.onChange((sandboxId) => {
    if (!source.isExpected(sandboxId)) expected.delete(sandboxId);
    else if (!expected.has(sandboxId)) {
      expected.add(sandboxId);
      void handAhead({ source, sessions, position: () => position, logger }, sandboxId);
    }
    // All changes of one turn of the event loop go into one message.
    if (changes.note(sandboxId)) queueMicrotask(flush);
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
      sendTable(source, session, position);
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

/** Sends the watcher all routes that it asked for: its first messages. */
function sendTable(source: RouteSource, session: Session, position: bigint): void {
  const routes = source.routes().filter(({ sandboxId }) => session.isWanted(sandboxId));
  for (let start = 0; start === 0 || start < routes.length; start += routesPerMessage) {
    const part = routes.slice(start, start + routesPerMessage).map(routeToMessage);
    const isWhole = start + routesPerMessage >= routes.length;
    session.send({ position, session: session.id, routes: part, isWhole });
  }
}

/** Returns true if `ms` passed before the work was done. */
async function isLate(work: Promise<unknown>, ms: number): Promise<boolean> {
  const limit = new AbortController();
  const late = sleepUnlessAborted(ms, limit.signal).then(
    () => true,
    () => false,
  );
  const outcome = await Promise.race([work.then(() => false), late]);
  limit.abort();
  return outcome;
}
