import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ForbiddenAddressError } from './guarded-lookup.ts';
import type { Reach } from './reach.ts';

/** Only our own programs use the proxy, and each opens a few connections. */
const maxConnections = 256;
/** A connection without traffic for this long is closed. Milliseconds. */
const idleTimeoutMs = 120_000;

/** The answer for a forbidden place, which a program then prints. It is also in the status line of a CONNECT. */
export const refusalWords = 'Address not open to tenants';
const failureWords = 'Host cannot be reached';

/**
 * An HTTP proxy (RFC 9110, section 9.3.6) for programs that follow redirects from strangers. Each place that a program
 * requests, even after a redirect, is reached by `reach` or refused. The caller calls `listen` and closes the server.
 */
export function createOutsideProxy(reach: Reach): Server {
  const server = createServer((request, response) => void passOn(reach, request, response));
  server.on('connect', (request: IncomingMessage, client: Duplex, head: Buffer) => {
    void tunnel(reach, request.url ?? '', client, head);
  });
  server.on('connection', (socket) => socket.setTimeout(idleTimeoutMs, () => socket.destroy()));
  server.maxConnections = maxConnections;
  return server;
}

async function tunnel(reach: Reach, target: string, client: Duplex, head: Buffer): Promise<void> {
  client.on('error', () => undefined);
  const [, host = '', port = ''] = /^(\[[0-9a-f:.]+\]|[^:[\]]+):([0-9]{1,5})$/i.exec(target) ?? [];
  try {
    const outside = await reach(withoutBrackets(host), Number(port));
    outside.on('error', () => client.destroy());
    outside.on('close', () => client.destroy());
    client.on('close', () => outside.destroy());
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (head.length > 0) outside.write(head);
    outside.pipe(client).pipe(outside);
  } catch (error) {
    client.end(`HTTP/1.1 ${statusOf(error)} ${wordsOf(error)}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  }
}

/** Handles a request over plain HTTP, whose target is in absolute form. */
async function passOn(reach: Reach, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const fail = (error: unknown): void => {
    if (response.headersSent) response.destroy();
    else response.writeHead(statusOf(error), { 'content-type': 'text/plain' }).end(wordsOf(error));
  };
  try {
    const url = new URL(request.url ?? '');
    if (url.protocol !== 'http:') throw new ForbiddenAddressError();
    const socket = await reach(withoutBrackets(url.hostname), url.port === '' ? 80 : Number(url.port));
    const outgoing = httpRequest({
      createConnection: () => socket,
      method: request.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      headers: ['Connection', 'close', ...endToEnd(request.rawHeaders)],
    });
    outgoing.on('error', fail);
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders));
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    response.on('close', () => socket.destroy());
    request.pipe(outgoing);
  } catch (error) {
    fail(error);
  }
}

const hopByHop = /^(?:connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/i;

function endToEnd(headers: readonly string[]): string[] {
  return headers.filter((_, index) => !hopByHop.test(headers[index - (index % 2)] ?? ''));
}

const statusOf = (error: unknown): number => (error instanceof ForbiddenAddressError ? 403 : 502);
const wordsOf = (error: unknown): string => (error instanceof ForbiddenAddressError ? refusalWords : failureWords);
const withoutBrackets = (host: string): string => host.replace(/^\[|\]$/g, '');
