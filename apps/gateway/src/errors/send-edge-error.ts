import { findHeader } from '../exchange/exchange.ts';
import type { Exchange, RawHeaders } from '../exchange/exchange.ts';
import type { EdgeError } from './edge-error.ts';
import { errorPage } from './error-page.ts';

/** Sends it as JSON, or as a page when a browser navigated here. Resets the exchange if an answer is on its way already. */
export function sendEdgeError(exchange: Exchange, error: EdgeError): void {
  if (wantsPage(exchange.headers)) send(exchange, error.code, 'text/html; charset=utf-8', errorPage(error));
  else send(exchange, error.code, 'application/json; charset=utf-8', JSON.stringify(error));
}

/** The official clients wait that long and try again. */
const retryAfterSeconds = '1';

/** What E2B's proxy answers to a request it cannot read. */
export function sendBadRequest(exchange: Exchange, message: string): void {
  send(exchange, 400, 'text/plain; charset=utf-8', message);
}

function send(exchange: Exchange, status: number, type: string, body: string): void {
  if (exchange.closed) return;
  if (exchange.headSent) {
    exchange.reset();
    return;
  }
  const headersOfAnswer = ['Content-Type', type, 'Content-Length', String(Buffer.byteLength(body))];
  headersOfAnswer.push('Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff');
  headersOfAnswer.push('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'");
  if (status === 429 || status === 507) headersOfAnswer.push('Retry-After', retryAfterSeconds);
  // Where a request could not be read, the next one on the connection may not be one.
  if (status === 400 && exchange.protocol !== 'http/2') headersOfAnswer.push('Connection', 'close');
  try {
    const answer = exchange.sendHead(status, '', headersOfAnswer);
    if (exchange.method === 'HEAD') answer.end();
    else answer.end(body);
  } catch {
    // The client left in this very moment.
    exchange.reset();
  }
}

/** A navigation: it has a browser's User-Agent, does not ask for JSON, and is not a `fetch` of a page. */
function wantsPage(headersOfRequest: RawHeaders): boolean {
  const userAgent = findHeader(headersOfRequest, 'user-agent') ?? '';
  if (!/mozilla|chrome|safari|firefox|edge|opera|msie/i.test(userAgent)) return false;
  if ((findHeader(headersOfRequest, 'accept') ?? '').includes('application/json')) return false;
  return !(findHeader(headersOfRequest, 'sec-fetch-mode') ?? '').startsWith('cors');
}
