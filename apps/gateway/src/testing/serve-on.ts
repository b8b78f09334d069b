import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestWorld } from './test-world.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves `handler` on a port of the world's sandbox. Returns how to reach it through the gateway. */
export async function serveOn(
  world: TestWorld,
  handler: Handler,
  port = 8080,
): Promise<{ readonly url: string; readonly host: string }> {
  await world.serve(port, handler);
  return world.urlOf(port);
}

/** Answers with the headers of the request as received. */
export const echoHeaders: Handler = (request, response) => response.end(JSON.stringify(request.rawHeaders));
