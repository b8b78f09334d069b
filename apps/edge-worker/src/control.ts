import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { FunctionSettings } from '@soulbox/contract/functions';
import type { EngineLifecycle } from './engine/engine-lifecycle.ts';

/** The host's own port: strangers are kept from it by the traffic token of the sandbox. */
export async function handleControl(
  request: IncomingMessage,
  response: ServerResponse,
  lifecycle: EngineLifecycle,
): Promise<void> {
  const route = `${request.method ?? ''} ${request.url ?? ''}`;
  if (route === 'GET /health') {
    response.writeHead(204).end();
  } else if (route === 'POST /serve') {
    // The server brought this program and these settings; they are of one version.
    const settings = JSON.parse(await text(request)) as FunctionSettings;
    const served = JSON.stringify(await lifecycle.serve(settings));
    response.writeHead(200, { 'content-type': 'application/json' }).end(served);
  } else {
    response.writeHead(404).end();
  }
}
