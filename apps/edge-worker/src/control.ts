import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { FunctionSettings } from '@soulbox/contract/functions';
import type { EngineLifecycle } from './engine/engine-lifecycle.ts';

/** Serves the port that only the host uses: the traffic token of the sandbox keeps strangers away. */
export async function handleControl(
  request: IncomingMessage,
  response: ServerResponse,
  lifecycle: EngineLifecycle,
): Promise<void> {
  const route = `${request.method ?? ''} ${request.url ?? ''}`;
  if (route === 'GET /health') {
    response.writeHead(204).end();
  } else if (route === 'POST /serve') {
    // Not validated: the server has uploaded this program too, so both have the same version.
    const settings = JSON.parse(await text(request)) as FunctionSettings;
    const served = JSON.stringify(await lifecycle.serve(settings));
    response.writeHead(200, { 'content-type': 'application/json' }).end(served);
  } else {
    response.writeHead(404).end();
  }
}
