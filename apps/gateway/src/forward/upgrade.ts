import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Exchange } from '../exchange/exchange.ts';
import { answerHeaders } from './headers.ts';
import { maxHeaderBytes } from '../exchange/protocol-limits.ts';
import { joinTunnel } from './join-tunnel.ts';
import type { Http1Forward } from './http1-forward.ts';
import { passOn } from './pass-on.ts';

/**
 * Forwards a protocol switch: an HTTP/1.1 Upgrade, or the extended CONNECT of HTTP/2 as an Upgrade. A service that
 * refuses sends an ordinary response, which is passed on.
 */
export function forwardUpgrade(exchange: Exchange, forward: Http1Forward, idleTimeoutMs: number): void {
  const protocol = exchange.upgrade ?? '';
  const overHttp2 = exchange.protocol === 'http/2';
  // RFC 8441, section 5: HTTP/2 does not have the key of the HTTP/1.1 handshake.
  const key = overHttp2 ? ['Sec-WebSocket-Key', randomBytes(16).toString('base64')] : [];
  let outgoing: ClientRequest;
  try {
    outgoing = httpRequest({
      ...forward.upstream.address,
      agent: forward.upstream.fresh,
      method: overHttp2 ? 'GET' : exchange.method,
      path: forward.path,
      headers: [...forward.headers, ...key, 'Connection', 'Upgrade', 'Upgrade', protocol],
      maxHeaderSize: maxHeaderBytes,
    });
  } catch (error) {
    forward.onFailure(error as Error);
    return;
  }
  let answered = false;
  exchange.onClose(() => outgoing.destroy());
  outgoing.on('error', (error) => {
    if (answered || exchange.closed) return;
    answered = true;
    forward.onFailure(error);
  });
  outgoing.on('upgrade', (incoming, connection, head) => {
    answered = true;
    connection.on('error', () => undefined);
    if (exchange.closed || incoming.statusCode !== 101) {
      connection.destroy();
      if (!exchange.closed) forward.onFailure(new Error('The service switched protocols without status 101.'));
      return;
    }
    if (head.length > 0) connection.unshift(head);
    try {
      const client = exchange.acceptUpgrade(switchHeaders(incoming, overHttp2, protocol));
      joinTunnel(client, connection, { idleTimeoutMs, holding: forward.holding, resetClient: () => exchange.reset() });
    } catch {
      // Node rejected a header from the sandbox, or the client has just left.
      connection.destroy();
      exchange.reset();
    }
  });
  outgoing.on('response', (incoming) => {
    answered = true;
    incoming.on('error', () => exchange.reset());
    try {
      const headers = answerHeaders(incoming.rawHeaders);
      const answer = exchange.sendHead(incoming.statusCode ?? 0, incoming.statusMessage ?? '', headers);
      passOn(incoming, answer, forward.holding);
      incoming.once('end', () => answer.end());
    } catch (error) {
      outgoing.destroy();
      forward.onFailure(error as Error);
    }
  });
  outgoing.end();
}

function switchHeaders(incoming: IncomingMessage, overHttp2: boolean, protocol: string): string[] {
  const headers = answerHeaders(incoming.rawHeaders);
  if (!overHttp2) return ['Connection', 'Upgrade', 'Upgrade', incoming.headers.upgrade ?? protocol, ...headers];
  return headers.filter((_, index) => headers[index - (index % 2)]?.toLowerCase() !== 'sec-websocket-accept');
}
