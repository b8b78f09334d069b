import { ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex, Writable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { ClientReader } from './client.ts';
import { findHeader } from './exchange.ts';
import type { Exchange, RawHeaders } from './exchange.ts';
import { lingeringCloseMs } from './lingering-close.ts';
import { resetSocket } from './reset-socket.ts';

/** The exchange of a plain request. Node's server has created `response` and owns the connection. */
export function exchangeFromRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: { expectsContinue: boolean; clientOf: ClientReader },
): Exchange {
  response.on('finish', () => {
    if (request.complete) return;
    // The answer is complete, but the client is still sending. Read a little longer so that it can read the answer,
    // then reset the connection.
    request.removeAllListeners('data').resume();
    const timer = setTimeout(() => resetSocket(request.socket), lingeringCloseMs);
    request.once('close', () => clearTimeout(timer));
  });
  const hasBody = findHeader(request.rawHeaders, 'transfer-encoding') !== undefined || declaresLength(request);
  return createExchange(request, response, { ...options, hasBody, upgrade: undefined });
}

/** The exchange of an upgrade. Node has released the socket, so this code sends the answer and ends the connection. */
export function exchangeFromUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  { head, clientOf }: { head: Buffer; clientOf: ClientReader },
): Exchange {
  socket.on('error', () => undefined);
  if (head.length > 0) socket.unshift(head);
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(request.socket);
  response.on('finish', () => {
    response.detachSocket(request.socket);
    request.socket.destroySoon();
  });
  const upgrade = request.headers.upgrade;
  return createExchange(request, response, { expectsContinue: false, hasBody: false, upgrade, clientOf });
}

function declaresLength(request: IncomingMessage): boolean {
  const length = findHeader(request.rawHeaders, 'content-length');
  return length !== undefined && length !== '0';
}

function createExchange(
  request: IncomingMessage,
  response: ServerResponse,
  {
    clientOf,
    ...facts
  }: { expectsContinue: boolean; hasBody: boolean; upgrade: string | undefined; clientOf: ClientReader },
): Exchange {
  const { socket } = request;
  const closeListeners: (() => void)[] = [];
  let closed = false;
  let upgraded = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    for (const listener of closeListeners) listener();
  };
  response.on('close', close);
  response.on('error', () => undefined);
  request.on('error', () => undefined);
  const connection = { remoteAddress: socket.remoteAddress ?? '', secure: socket instanceof TLSSocket };
  return {
    ...facts,
    ...clientOf(connection, request.rawHeaders),
    remotePort: socket.remotePort ?? 0,
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    authority: request.headers.host,
    headers: request.rawHeaders,
    protocol: request.httpVersion === '1.0' ? 'http/1.0' : 'http/1.1',
    body: request,
    bodyTrailers: () => request.rawTrailers,
    get headSent() {
      return upgraded || response.headersSent;
    },
    get status() {
      if (upgraded) return 101;
      return response.headersSent ? response.statusCode : 0;
    },
    get closed() {
      return closed;
    },
    sendContinue: () => response.writeContinue(),
    sendEarlyHints: (links) => sendEarlyHints(request, response, links),
    sendHead(status: number, statusText: string, headers: RawHeaders): Writable {
      return response.writeHead(status, statusText, [...headers]);
    },
    setTrailers(headers: RawHeaders): void {
      const pairs: [string, string][] = [];
      for (let index = 0; index < headers.length; index += 2)
        pairs.push([headers[index] ?? '', headers[index + 1] ?? '']);
      response.addTrailers(pairs);
    },
    acceptUpgrade(headers: RawHeaders): Duplex {
      upgraded = true;
      response.detachSocket(socket);
      socket.once('close', close);
      let head = 'HTTP/1.1 101 Switching Protocols\r\n';
      for (let index = 0; index < headers.length; index += 2)
        head += `${headers[index] ?? ''}: ${headers[index + 1] ?? ''}\r\n`;
      socket.write(`${head}\r\n`, 'latin1');
      return socket;
    },
    reset: () => resetSocket(socket),
    onClose(listener: () => void): void {
      if (closed) listener();
      else closeListeners.push(listener);
    },
  };
}

function sendEarlyHints(request: IncomingMessage, response: ServerResponse, links: readonly string[]): void {
  // HTTP/1.0 has no interim answers.
  if (links.length === 0 || request.httpVersion === '1.0' || response.headersSent) return;
  try {
    response.writeEarlyHints({ link: [...links] });
  } catch {
    // Node rejected a value from the sandbox. Hints are optional.
  }
}
