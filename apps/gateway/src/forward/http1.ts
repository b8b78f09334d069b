import { request as httpRequest } from 'node:http';
import type { ClientRequest } from 'node:http';
import { headerValues } from '../exchange/exchange.ts';
import { maxHeaderBytes } from '../exchange/protocol-limits.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { framingHeaders, safeTrailers } from './headers.ts';
import { passOn } from './pass-on.ts';
import type { Http1Forward } from './http1-forward.ts';
import { sendAnswer } from './send-answer.ts';

/** RFC 9110, section 9.2.2: executing these twice has the same effect as once. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Whether the request can be sent again when the outcome of the first attempt is unknown. */
export function isRepeatable(exchange: Exchange): boolean {
  return !exchange.hasBody && exchange.upgrade === undefined && idempotent.has(exchange.method);
}

/** Forwards the exchange over HTTP/1.1. Both bodies stream at the pace of the slower side. */
export function forwardHttp1(exchange: Exchange, forward: Http1Forward): void {
  const repeatable = isRepeatable(exchange);
  attempt(exchange, forward, { repeatable, pooled: repeatable || forward.upstream.outlivesPool });
}

function attempt(exchange: Exchange, forward: Http1Forward, options: { repeatable: boolean; pooled: boolean }): void {
  let outgoing: ClientRequest;
  try {
    outgoing = httpRequest({
      ...forward.upstream.address,
      agent: options.pooled ? forward.upstream.pooled : forward.upstream.fresh,
      method: exchange.method,
      path: forward.path,
      headers: [...forward.headers, ...framingHeaders(exchange)],
      maxHeaderSize: maxHeaderBytes,
    });
  } catch (error) {
    forward.onFailure(error as Error);
    return;
  }
  let answered = false;
  // A finished request has released its connection; then this has no effect.
  exchange.onClose(() => outgoing.destroy());
  outgoing.on('error', (error) => {
    if (answered || exchange.closed) return;
    answered = true;
    if (options.repeatable && outgoing.reusedSocket) attempt(exchange, forward, { repeatable: false, pooled: false });
    else forward.onFailure(error);
  });
  outgoing.once('continue', () => {
    if (exchange.expectsContinue && !exchange.headSent) exchange.sendContinue();
  });
  // startGateway limits their number and size for every request of the process.
  outgoing.on('information', (interim) => {
    if (interim.statusCode === 103 && !outgoing.destroyed)
      exchange.sendEarlyHints(headerValues(interim.rawHeaders, 'link'));
  });
  outgoing.on('upgrade', (_incoming, connection) => {
    // Nobody requested an upgrade. Without a listener Node would drop the request silently.
    answered = true;
    connection.destroy();
    forward.onFailure(new Error('The service switched protocols without being asked.'));
  });
  outgoing.on('response', (incoming) => {
    answered = true;
    try {
      sendAnswer(exchange, forward, incoming);
    } catch (error) {
      // Node rejected the status or a header: the answer of the service is not HTTP that can be passed on.
      outgoing.destroy();
      forward.onFailure(error as Error);
    }
  });
  sendBody(exchange, forward, outgoing);
}

function sendBody(exchange: Exchange, { holding }: Http1Forward, outgoing: ClientRequest): void {
  if (!exchange.hasBody) {
    outgoing.end();
    return;
  }
  const { body } = exchange;
  passOn(body, outgoing, holding);
  body.once('end', () => {
    const trailers = safeTrailers(exchange.bodyTrailers());
    try {
      if (trailers.length > 0) outgoing.addTrailers(pairs(trailers));
      outgoing.end();
    } catch (error) {
      outgoing.destroy(error as Error);
    }
  });
}

function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let index = 0; index < flat.length; index += 2) result.push([flat[index] ?? '', flat[index + 1] ?? '']);
  return result;
}
