import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { Context } from './context.ts';
import { handleInit } from './init/handle-init.ts';
import { handleLogs } from './logs/handle-logs.ts';
import { sendEmpty, sendError, sendJson, setCorsHeaders } from './server/send.ts';

type Handler = (context: Context, request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

const routes: Readonly<Record<string, Handler>> = {
  'GET /health': (_context, _request, response) => sendEmpty(response, 204),
  'POST /init': handleInit,
  'GET /soulbox/logs': handleLogs,
  'GET /envs': (context, _request, response) => {
    response.setHeader('cache-control', 'no-store');
    sendJson(response, 200, context.settings.envVars);
  },
};

/** Every request to envd comes through here; errors are translated once, at this border. */
export function createRequestHandler(context: Context) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    void respond(context, request, response);
  };
}

async function respond(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    setCorsHeaders(response);
    if (request.method === 'OPTIONS') {
      sendEmpty(response, 204);
      return;
    }
    const url = parseUrl(request.url ?? '/');
    const route = routes[`${request.method ?? ''} ${url.pathname}`];
    if (route === undefined) throw new SoulBoxError('route_not_found', `There is no ${url.pathname} here.`);
    await route(context, request, response, url);
  } catch (thrown) {
    const error = errorFromUnknown(thrown);
    if (error.reason === 'internal')
      context.log.record('error', 'http', 'Request failed', { cause: String(error.cause) });
    sendError(response, error);
  }
}

function parseUrl(text: string): URL {
  try {
    return new URL(text, 'http://envd');
  } catch {
    throw new SoulBoxError('bad_request', 'The request target is not a valid URL.');
  }
}
