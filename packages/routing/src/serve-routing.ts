import type { ConnectError, ConnectRouter } from '@connectrpc/connect';
import { Socket } from 'node:net';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { RoutingService } from '@soulbox/contract/routing';
import { handOver } from './hand-over.ts';
import type { RouteFeed } from './route-feed.ts';

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
