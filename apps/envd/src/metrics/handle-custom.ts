import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { Context } from '../context.ts';
import { sendJson } from '../server/send.ts';
import { customDirectory, readCustomSources } from './custom-sources.ts';
import { createStatsdListener } from './statsd-listener.ts';

/**
 * GET /soulbox/metrics, for the host only. Returns `{sources}` as in CustomSource. Other callers cannot tell that it
 * exists.
 */
export function createCustomMetricsHandler(): (
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
) => Promise<void> {
  const statsd = createStatsdListener();
  return async (context, request, response, url) => {
    if (!(await context.hostGate.isHost(request.headers[headers.hostToken])))
      throw new SoulBoxError('route_not_found', `Route "${url.pathname}" was not found.`);
    sendJson(response, 200, { sources: await readCustomSources(customDirectory, statsd) });
  };
}
