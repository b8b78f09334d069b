import { closeSync, mkdtempSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { createDescriptorPair, createDescriptorReceiver } from '@soulbox/process';
import { createSocketTransport, serveSocket } from '@soulbox/rpc';
import { connectRouting } from '../remote-router.ts';
import type { RemoteRouter } from '../remote-router.ts';
import { createRouteFeed } from '../route-feed.ts';
import { addRoutingRoutes } from '../serve-routing.ts';
import { createStandInSource } from './stand-in-source.ts';
import type { StandInSource } from './stand-in-source.ts';

/** The sandbox that the source of a bench has from the start. */
export const id = 'i0123456789abcdefghij';

/** A runner's side and a router that is connected to it, over a real socket and a real pair of descriptors. */
export interface RoutingBench extends AsyncDisposable {
  readonly source: StandInSource;
  /** Path of the runner's socket. */
  readonly socket: string;
  /** Starts a runner that serves `source` on the socket. To its clients it is a new process. */
  startRunner(): Promise<void>;
  stopRunner(): Promise<void>;
  connect(more?: { takesConnections?: boolean; metadataKey?: string }): RemoteRouter;
  /** A server that the runner dials for a sandbox. Its end closes its connections, also those that nobody took. */
  listen(onConnection: (socket: Socket) => void, sandboxId?: string): Promise<AsyncDisposable>;
}

export async function openRoutingBench(): Promise<RoutingBench> {
  const folder = mkdtempSync(join(tmpdir(), 'routing-'));
  const pair = createDescriptorPair();
  const source = createStandInSource();
  source.set(id, { maskRequestHost: 'x:${PORT}' });
  const socket = join(folder, 'runner.sock');
  let runner: AsyncDisposable | undefined;
  const bench: RoutingBench = {
    source,
    socket,
    startRunner: async () => {
      const feed = createRouteFeed(source, silentLogger);
      const routes = (into: Parameters<typeof addRoutingRoutes>[0]): void =>
        addRoutingRoutes(into, { feed, channel: pair[0], logger: silentLogger });
      const served = await serveSocket({
        path: socket,
        doors: [{ name: 'all', admits: () => true, routes }],
        logger: silentLogger,
      });
      runner = {
        async [Symbol.asyncDispose]() {
          feed[Symbol.dispose]();
          await served[Symbol.asyncDispose]();
        },
      };
    },
    stopRunner: async () => {
      await runner?.[Symbol.asyncDispose]();
      runner = undefined;
    },
    connect: (more = {}) =>
      connectRouting({
        ...more,
        transport: createSocketTransport(socket),
        receiver: createDescriptorReceiver(pair[1]),
        logger: silentLogger,
      }),
    listen: async (onConnection, sandboxId = id) => {
      const server = createServer(onConnection);
      const sockets = new Set<Socket>();
      server.on('connection', (socket) => sockets.add(socket));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      source.ports.set(sandboxId, (server.address() as AddressInfo).port);
      return {
        async [Symbol.asyncDispose]() {
          for (const socket of sockets) socket.destroy();
          await server[Symbol.asyncDispose]();
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      await bench.stopRunner();
      pair.forEach(closeSync);
      await removeTree(folder);
    },
  };
  await bench.startRunner();
  return bench;
}
