import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { Logger } from '@soulbox/base';
import type { AliveCalls } from './alive-calls.ts';

/** How long open calls may continue when the service stops. */
const drainMs = 3000;
const keepAliveTimeoutMs = 75_000;

export interface ServiceServerOptions {
  /** A Unix socket that is already bound, or its path. */
  readonly place: { readonly fd: number } | { readonly path: string };
  readonly alive: AliveCalls;
  readonly handle: RequestListener;
  /** A call that neither sends nor takes a byte for this time is ended. */
  readonly silenceMs: number;
  readonly logger: Logger;
}

/** Serves calls of other processes of the server. Disposing ends open calls. */
export async function startServiceServer(options: ServiceServerOptions): Promise<AsyncDisposable> {
  const { place, alive, handle, silenceMs, logger } = options;
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: keepAliveTimeoutMs }, handle);
  server.setTimeout(silenceMs);
  server.listen(place);
  await once(server, 'listening');
  // A failed accept (too many open files) must not end the process.
  server.on('error', (err) => logger.error({ err }, 'the service could not accept a connection'));
  return {
    async [Symbol.asyncDispose]() {
      const late = setTimeout(() => server.closeAllConnections(), drainMs);
      const closed = once(server, 'close');
      server.close();
      alive[Symbol.dispose]();
      server.closeIdleConnections();
      await closed;
      clearTimeout(late);
    },
  };
}
