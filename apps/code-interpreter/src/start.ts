import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from './config.ts';
import { createContext } from './context.ts';
import { handleRequest } from './routes.ts';

/** Limit of simultaneous connections. Each may hold a request body and a response. */
const maxConnections = 256;

export interface CodeInterpreter extends AsyncDisposable {
  readonly port: number;
}

/** Creates the two initial contexts, then listens: /health is the template's ready command. */
export async function startCodeInterpreter(config: Config): Promise<CodeInterpreter> {
  const context = createContext(config);
  await Promise.all([context.contexts.getDefault('python'), context.contexts.getDefault('javascript')]);
  const server = createServer((request, response) => void handleRequest(context, request, response));
  server.maxConnections = maxConnections;
  // The gateway reuses connections. One that closes at the moment of its reuse would look like a failed request.
  server.keepAliveTimeout = 120_000;
  server.listen(config.port);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await Promise.all(context.contexts.list().map(async ({ id }) => await context.contexts.remove(id)));
    },
  };
}
