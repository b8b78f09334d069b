import type { Reason } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange, RawHeaders } from '../exchange/exchange.ts';
import type { EdgeError } from './edge-error.ts';
import { errorPage } from './error-page.ts';

/**
 * Sends the error as JSON, or as a page if a browser navigated here. Resets the exchange if an answer has already
 * begun.
 */
export function sendEdgeError(exchange: Exchange, error: EdgeError): void {
  const [type, body] = wantsPage(exchange.headers)
    ? ['text/html', errorPage(error)]
    : ['application/json', JSON.stringify(error)];
  send(exchange, error.code, `${type}; charset=utf-8`, body, reasonOf(error));
}

/** Tells our clients that the fault is in one sandbox: the gateway works, and calls to other sandboxes can go on. */
function reasonOf(error: EdgeError): Reason | undefined {
  if (error.code < 500 || !('sandboxId' in error)) return undefined;
  if (error.code === 507) return 'disk_full';
  return 'port' in error ? 'port_closed' : 'sandbox_unreachable';
}

/** The official clients wait this long before they retry. */
const retryAfterSeconds = '1';

/** Sends the same answer as E2B's proxy for a malformed request. */
export function sendBadRequest(exchange: Exchange, message: string): void {
  send(exchange, 400, 'text/plain; charset=utf-8', message);
}

function send(exchange: Exchange, status: number, type: string, body: string, reason?: Reason): void {
  if (exchange.closed) return;
  if (exchange.headSent) {
    exchange.reset();
    return;
  }
  const headersOfAnswer = ['Content-Type', type, 'Content-Length', String(Buffer.byteLength(body))];
  headersOfAnswer.push('Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff');
  headersOfAnswer.push('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
  if (reason !== undefined) headersOfAnswer.push(headers.reason, reason);
  if (status === 429 || status === 507) headersOfAnswer.push('Retry-After', retryAfterSeconds);
  // After a malformed request, the following bytes on the connection may not be a request.
  if (status === 400 && exchange.protocol !== 'http/2') headersOfAnswer.push('Connection', 'close');
  try {
    const answer = exchange.sendHead(status, '', headersOfAnswer);
    if (exchange.method === 'HEAD') answer.end();
    else answer.end(body);
  } catch {
    // The client has just left.
    exchange.reset();
  }
}

/**
 * Whether the request is a navigation: it has the User-Agent of a browser, does not request JSON, and is not a `fetch`
 * of a page.
 */
function wantsPage(headersOfRequest: RawHeaders): boolean {
  const userAgent = findHeader(headersOfRequest, 'user-agent') ?? '';
  if (!/mozilla|chrome|safari|firefox|edge|opera|msie/i.test(userAgent)) return false;
  if ((findHeader(headersOfRequest, 'accept') ?? '').includes('application/json')) return false;
  return !(findHeader(headersOfRequest, 'sec-fetch-mode') ?? '').startsWith('cors');
}
