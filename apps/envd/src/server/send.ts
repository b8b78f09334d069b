import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SoulBoxError } from '@soulbox/base';
import { headers, httpBodyFromError } from '@soulbox/contract';

/** Any origin may call, because callers authenticate by a header, never by a cookie. */
const corsHeaders = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'HEAD, GET, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers': '*',
  'access-control-expose-headers': '*',
} as const;

export function setCorsHeaders(request: IncomingMessage, response: ServerResponse): void {
  for (const [name, value] of Object.entries(corsHeaders)) response.setHeader(name, value);
  // `*` does not include Authorization, so a preflight request gets its own list back.
  const wanted = request.headers['access-control-request-headers'];
  if (wanted !== undefined) response.setHeader('access-control-allow-headers', wanted);
}

const startTimes = new WeakMap<ServerResponse, number>();

/** The response says how long it took: `Server-Timing: envd;dur=MILLISECONDS`. */
export function tellTime(response: ServerResponse): void {
  startTimes.set(response, performance.now());
}

function setTime(response: ServerResponse): void {
  const startedAt = startTimes.get(response);
  if (startedAt !== undefined)
    response.setHeader('server-timing', `envd;dur=${(performance.now() - startedAt).toFixed(3)}`);
}

export function sendEmpty(response: ServerResponse, status: number): void {
  setTime(response);
  response.writeHead(status);
  response.end();
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = Buffer.from(JSON.stringify(body));
  setTime(response);
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': text.length });
  response.end(text);
}

/**
 * Sends an error answer. If an answer has already begun, closes the connection, because no other way is left to report
 * the error.
 */
export function sendError(response: ServerResponse, error: SoulBoxError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = httpBodyFromError(error);
  response.setHeader(headers.reason, error.reason);
  sendJson(response, body.code, body);
}
