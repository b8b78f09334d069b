import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { Context } from '../context.ts';
import { sendJson } from '../server/send.ts';
import { readCustomSources } from './custom-sources.ts';

/**
 * GET /soulbox/metrics, for the host only. Returns `{sources}` as in CustomSource. Other callers cannot tell that it
 * exists.
 */
export async function handleCustomMetrics(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  if (!(await context.hostGate.isHost(request.headers[headers.hostToken])))
    throw new SoulBoxError('route_not_found', `Route "${url.pathname}" was not found.`);
  sendJson(response, 200, { sources: await readCustomSources() });
}
