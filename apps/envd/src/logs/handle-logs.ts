import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { Context } from '../context.ts';
import { sendJson } from '../server/send.ts';

/**
 * GET /soulbox/logs?after=SEQ, for the host only. Returns `{entries}` as in LifeLogEntry. Other callers cannot tell
 * that it exists.
 */
export async function handleLogs(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  if (!(await context.hostGate.isHost(request.headers[headers.hostToken]))) {
    throw new SoulBoxError('route_not_found', `Route "${url.pathname}" was not found.`);
  }
  const after = Number(url.searchParams.get('after') ?? '0');
  if (!Number.isSafeInteger(after) || after < 0) throw new SoulBoxError('bad_request', 'after must be a whole number.');
  sendJson(response, 200, { entries: context.log.entriesAfter(after) });
}
