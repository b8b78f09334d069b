import { createServer, ServerResponse } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { stopParsing } from '@soulbox/base';

/** Values of secrets have at most 64 KiB, but those come later; this is for what the sandbox sends. */
export const headMaxBytes = 64 * 1024;
const headersTimeoutMs = 60_000;
/** The egress process ends idle connections itself. */
const keepAliveTimeoutMs = 600_000;
/** Requests that a client may send before it has read the answer to the first one. */
const pipelinedMax = 16;

/** Takes the requests of one connection. The body of `request` has not been read. */
export interface Http1Taker {
  request(request: IncomingMessage, response: ServerResponse): void;
  /** A WebSocket handshake. What the client has sent after it is in the socket. */
  upgrade(request: IncomingMessage, response: ServerResponse, socket: Duplex): void;
}

export interface Http1Server extends Disposable {
  serve(connection: Duplex, taker: Http1Taker): void;
}

/** Parses HTTP/1.1 with Node's strict parser. It has no port: connections are passed to it. */
export function createHttp1Server(): Http1Server {
  const takers = new WeakMap<Duplex, { readonly taker: Http1Taker; waiting: number }>();
  const server = createServer({
    maxHeaderSize: headMaxBytes,
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0,
    keepAliveTimeout: keepAliveTimeoutMs,
    shouldUpgradeCallback: isWebSocket,
  });
  // Node silently drops headers above this count. The size of the head is the limit instead.
  server.maxHeadersCount = 0;
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const entry = takers.get(request.socket);
    if (entry === undefined || entry.waiting >= pipelinedMax) {
      stopParsing(request.socket);
      request.socket.destroy();
      return;
    }
    entry.waiting += 1;
    response.on('close', () => (entry.waiting -= 1));
    response.sendDate = false;
    entry.taker.request(request, response);
  };
  server.on('request', take);
  server.on('checkContinue', take);
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const entry = takers.get(socket);
    // Node has released the connection, so earlier answers can no longer be sent.
    if (entry === undefined || entry.waiting > 0) {
      socket.destroy();
      return;
    }
    if (head.length > 0) socket.unshift(head);
    entry.taker.upgrade(request, responseOn(request, socket), socket);
  });
  server.on('connect', (_request, socket: Duplex) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  // Node starts its check for slow clients on this event, which a server without a port never emits.
  server.emit('listening');
  return {
    serve(connection, taker) {
      takers.set(connection, { taker, waiting: 0 });
      server.emit('connection', connection);
      // Only after the server has taken over, so that the bytes that were put back are not lost.
      process.nextTick(() => connection.resume());
    },
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Other protocols are declined, as RFC 9110 (7.8) allows, and so is a handshake with a body. */
function isWebSocket({ headers }: IncomingMessage): boolean {
  const { upgrade, 'content-length': length, 'transfer-encoding': coding } = headers;
  return upgrade?.trim().toLowerCase() === 'websocket' && coding === undefined && (length ?? '0') === '0';
}

function responseOn(request: IncomingMessage, socket: Duplex): ServerResponse {
  socket.on('error', () => undefined);
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.sendDate = false;
  response.assignSocket(request.socket);
  response.on('finish', () => {
    response.detachSocket(request.socket);
    request.socket.destroySoon();
  });
  return response;
}
