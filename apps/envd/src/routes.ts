import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { Context } from './context.ts';
import { checkAccessToken } from './init/access.ts';
import { handleCompose } from './files/compose.ts';
import { handleDownload } from './files/download.ts';
import { handleUpload } from './files/upload.ts';
import { handleInit } from './init/handle-init.ts';
import { handleLogs } from './logs/handle-logs.ts';
import { createCustomMetricsHandler } from './metrics/handle-custom.ts';
import { readMetrics } from './metrics/read-metrics.ts';
import { handleRehearsal } from './resume/handle-rehearsal.ts';
import { createResumedHandler } from './resume/handle-resumed.ts';
import { handleTrust } from './trust/handle-trust.ts';
import { discardBody } from './server/discard-body.ts';
import { createRpcHandler, rpcPrefixes } from './rpc.ts';
import { sendEmpty, sendError, sendJson, setCorsHeaders, tellTime } from './server/send.ts';

type Handler = (context: Context, request: IncomingMessage, response: ServerResponse, url: URL) => Promise<void> | void;

interface Route {
  readonly handle: Handler;
  /** `token`: the access token is required here. `own`: the handler has its own rule. */
  readonly access: 'token' | 'own';
  /** The answer says how long envd took, for a trace of the host. */
  readonly isTimed?: true;
}

const routes: Readonly<Record<string, Route>> = {
  'GET /health': { handle: (_context, _request, response) => sendEmpty(response, 204), access: 'own' },
  'POST /init': { handle: handleInit, access: 'own', isTimed: true },
  'POST /resumed': { handle: createResumedHandler(), access: 'own', isTimed: true },
  'POST /rehearse-resumed': { handle: handleRehearsal, access: 'own' },
  'POST /soulbox/trust': { handle: handleTrust, access: 'own', isTimed: true },
  'GET /soulbox/logs': { handle: handleLogs, access: 'own' },
  'GET /soulbox/metrics': { handle: createCustomMetricsHandler(), access: 'own' },
  'GET /files': { handle: handleDownload, access: 'own' },
  'HEAD /files': { handle: handleDownload, access: 'own' },
  'POST /files': { handle: handleUpload, access: 'own' },
  'POST /files/compose': { handle: handleCompose, access: 'token' },
  'GET /metrics': { handle: handleMetrics, access: 'token' },
  'GET /envs': { handle: handleEnvs, access: 'token' },
};

/** Handles every request to envd. Errors are translated once, here. */
export function createRequestHandler(context: Context) {
  const handleRpc = createRpcHandler(context);
  return (request: IncomingMessage, response: ServerResponse): void => {
    void respond(context, handleRpc, request, response);
  };
}

async function respond(
  context: Context,
  handleRpc: ReturnType<typeof createRpcHandler>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    setCorsHeaders(request, response);
    if (request.method === 'OPTIONS') {
      sendEmpty(response, 204);
      return;
    }
    const url = parseUrl(request.url ?? '/');
    if (rpcPrefixes.some((prefix) => url.pathname.startsWith(prefix))) {
      checkAccessToken(context.settings, request);
      await handleRpc(request, response);
      return;
    }
    const route = routes[`${request.method ?? ''} ${url.pathname}`];
    if (route?.isTimed === true) tellTime(response);
    if (route === undefined) throw new SoulBoxError('route_not_found', `Route "${url.pathname}" was not found.`);
    if (route.access === 'token') checkAccessToken(context.settings, request);
    await route.handle(context, request, response, url);
  } catch (thrown) {
    const error = errorFromUnknown(thrown);
    if (error.reason === 'internal')
      context.log.record('error', 'http', 'Request failed', { cause: String(error.cause) });
    sendError(response, error);
    discardBody(request, response);
  }
}

/** GET /metrics */
async function handleMetrics(_context: Context, _request: IncomingMessage, response: ServerResponse): Promise<void> {
  sendJson(response, 200, await readMetrics());
}

/** GET /envs: the global variables, for the code interpreter. */
function handleEnvs(context: Context, _request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('cache-control', 'no-store');
  sendJson(response, 200, context.settings.envVars);
}

/** A path is not resolved as a reference, where `//x/init` would be `/init` of the host x. */
function parseUrl(text: string): URL {
  try {
    return text.startsWith('/') ? new URL(`http://envd${text}`) : new URL(text);
  } catch {
    throw new SoulBoxError('bad_request', 'The request URL is not valid.');
  }
}
