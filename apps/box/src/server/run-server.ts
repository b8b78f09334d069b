import type { RootLogger } from '@soulbox/base';
import { addFunctionRoutes } from '@soulbox/contract/function-routing';
import type { PartProgram, RunningPart } from '@soulbox/process';
import { addRoutingRoutes, createRouteFeed } from '@soulbox/routing';
import { serveSocket } from '@soulbox/rpc';
import type { Door } from '@soulbox/rpc';
import type { BoxConfig } from '../config.ts';
import { startServer } from './start-server.ts';

/** What a server whose gateway is another process is told. */
export interface ServerSettings {
  readonly config: BoxConfig;
  /** Our end of the gateway's descriptor pair. */
  readonly descriptors: { readonly channel: number };
  /** User and group of the gateway. */
  readonly gatewayId: number;
  readonly sockets: { readonly runner: string; readonly control: string; readonly api: string };
}

export const serverProgram: PartProgram = {
  part: 'server',
  start: async (settings, logger) => await run(settings as unknown as ServerSettings, logger),
};

async function run(
  { config, descriptors, gatewayId, sockets }: ServerSettings,
  logger: RootLogger,
): Promise<RunningPart> {
  /** Lines that the log file did not take, as the process that owns it says. */
  let droppedLines = 0;
  const server = await startServer({
    config,
    logger,
    droppedLogLines: () => logger.droppedLines() + droppedLines,
    apiSocket: { path: sockets.api, groupId: gatewayId },
  });
  await using started = new AsyncDisposableStack();
  let keepSandboxes = true;
  started.defer(async () => await server.close({ keepSandboxes }));
  const feed = started.use(createRouteFeed(server.router, logger.child({ part: 'runner' })));
  const gatewayOnly = (name: string, routes: Door['routes']): Door => ({
    name,
    admits: ({ uid }) => uid === gatewayId,
    routes,
  });
  const { channel } = descriptors;
  const runnerDoor = gatewayOnly('gateway', (router) => addRoutingRoutes(router, { feed, channel, logger }));
  const controlDoor = gatewayOnly('gateway', (router) => addFunctionRoutes(router, server.functions, logger));
  // Only the gateway's folder leads to them, and the kernel says who asks.
  started.use(await serveSocket({ path: sockets.runner, doors: [runnerDoor], mode: 0o666, logger }));
  started.use(await serveSocket({ path: sockets.control, doors: [controlDoor], mode: 0o666, logger }));
  server.keep();
  const owned = started.move();
  return {
    facts: {},
    listeners: {
      droppedLines: (count) => void (droppedLines = Number(count)),
      endSandboxes: async () => await server.endSandboxes(),
    },
    async stop(how) {
      ({ keepSandboxes } = how);
      await owned.disposeAsync();
    },
  };
}
