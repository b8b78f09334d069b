import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@soulbox/base/config';
import { silentLogger } from '@soulbox/base/logger';
import type { Clock, Logger } from '@soulbox/base';
import type { FunctionRouter } from '@soulbox/contract/function-service';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import { gatewayConfigSchema } from '../config.ts';
import type { GatewayConfig } from '../config.ts';
import { startGateway } from '../start.ts';
import type { Gateway } from '../start.ts';
import { createTestRouter } from './test-router.ts';
import type { TestRouter } from './test-router.ts';

/** The sandbox that every world has from the start. */
export const sandboxId = 'iaaaaaaaaaaaaaaaaaaaa';

/** A gateway on free ports, with a router of local servers and an API that echoes requests. */
export interface TestWorld extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly router: TestRouter;
  readonly directory: string;
  readonly url: string;
  /** Starts a local server and puts it behind a port of the sandbox. */
  serve(port: number, handler: RequestListener, options?: { sandboxId?: string }): Promise<Server>;
  /** Does the same for a server that was created elsewhere and does not listen yet. Returns its local port. */
  serveNet(port: number, server: NetServer, options?: { sandboxId?: string }): Promise<number>;
  /** The URL of a port of the sandbox in host form, on the plain port. */
  urlOf(port: number, path?: string): { url: string; host: string };
}

export async function startTestWorld(
  options: {
    config?: Partial<GatewayConfig>;
    api?: RequestListener;
    functions?: FunctionRouter;
    signedUrls?: SignedUrlChecker;
    apiAddress?: { host: string; port: number } | { socketPath: string };
    logger?: Logger;
    clock?: Clock;
  } = {},
): Promise<TestWorld> {
  const cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'soulbox-gateway-'));
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const router = createTestRouter();
  router.add(sandboxId);

  const listenOnSocket = async (server: NetServer, at: { path: string } | { port: number; host: string }) => {
    server.listen(at);
    await once(server, 'listening');
    cleanup.defer(async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      if ('closeAllConnections' in server) (server as Server).closeAllConnections();
      await closed;
    });
  };

  const socketPath = join(directory, 'api.sock');
  const api = createServer(
    options.api ??
      ((request, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ api: true, method: request.method, url: request.url, headers: request.headers }));
      }),
  );
  await listenOnSocket(api, { path: socketPath });

  const config = loadConfig(
    gatewayConfigSchema,
    {},
    {
      ...{ port: 0, tlsPort: 0, tlsDirectory: join(directory, 'tls'), shutdownGraceMs: 0 },
      // Tests name the server as they like; `local-page.test.ts` is about these names.
      allowedHosts: ['*'],
      ...options.config,
    },
  );
  const starting = startGateway({
    config,
    router,
    functions: options.functions,
    signedUrls: options.signedUrls,
    api: options.apiAddress ?? { socketPath },
    logger: options.logger ?? silentLogger,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  const gateway = await starting.catch(async (error: unknown) => {
    await cleanup.disposeAsync();
    throw error;
  });
  cleanup.use(gateway);

  const serveNet = async (port: number, server: NetServer, at: { sandboxId?: string } = {}): Promise<number> => {
    await listenOnSocket(server, { host: '127.0.0.1', port: 0 });
    const localPort = (server.address() as AddressInfo).port;
    router.serve(at.sandboxId ?? sandboxId, port, localPort);
    return localPort;
  };
  return {
    gateway,
    router,
    directory,
    url: `http://127.0.0.1:${gateway.port}`,
    serveNet,
    async serve(port, handler, at) {
      const server = createServer(handler);
      await serveNet(port, server, at);
      return server;
    },
    urlOf: (port, path = '/') => ({
      url: `http://127.0.0.1:${gateway.port}${path}`,
      host: `${port}-${sandboxId}.soulbox.localhost:${gateway.port}`,
    }),
    [Symbol.asyncDispose]: async () => await cleanup.disposeAsync(),
  };
}
