import { createServer as createHttp1Server } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { GatewayConfig } from '../config.ts';
import { createClientReader } from '../exchange/client.ts';
import type { ClientReader } from '../exchange/client.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { exchangeFromRequest, exchangeFromUpgrade } from '../exchange/http1.ts';
import { exchangeFromStream } from '../exchange/http2.ts';
import { resetSocket } from '../exchange/reset-socket.ts';
import {
  connectionWindowBytes,
  maxHeaderBytes,
  sessionMemoryMib,
  streamWindowBytes,
} from '../exchange/protocol-limits.ts';
import { createTurns } from './turns.ts';

/**
 * Practically unlimited, because the size of the head is the limit. Node's default of 128 is less than file metadata
 * may need.
 */
const maxHeaderPairs = 8192;
/** Streams that a client may have open on one HTTP/2 connection. */
const maxConcurrentStreams = 1000;

/** Both HTTP versions, without ports of their own: the listeners pass connections to them. */
export interface HttpServers {
  serveHttp1(connection: Duplex): void;
  serveHttp2(connection: Duplex): void;
  /** Waits up to `graceMs` for open exchanges to end, then resets them and closes every connection. */
  close(graceMs: number): Promise<void>;
}

export function createHttpServers(config: GatewayConfig, handle: (exchange: Exchange) => void): HttpServers {
  const open = new Set<Exchange>();
  const sessions = new Set<ServerHttp2Session>();
  let onIdle = (): void => undefined;
  const begin = (exchange: Exchange): void => {
    open.add(exchange);
    exchange.onClose(() => {
      open.delete(exchange);
      if (open.size === 0) onIdle();
    });
    handle(exchange);
  };

  const clientOf = createClientReader(config.trustedProxies);
  const http1 = createHttp1(config, clientOf, begin);
  const http2 = createHttp2Server({
    settings: {
      enableConnectProtocol: true,
      initialWindowSize: streamWindowBytes,
      maxConcurrentStreams,
      maxHeaderListSize: maxHeaderBytes,
    },
    maxHeaderListPairs: maxHeaderPairs,
    maxSessionMemory: sessionMemoryMib,
  });
  http2.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.setLocalWindowSize(connectionWindowBytes);
    cutWhenUnused(session, config);
  });
  http2.on('sessionError', () => undefined);
  http2.on(
    'stream',
    (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
      const exchange = exchangeFromStream(stream, headers, { rawHeaders, clientOf });
      stream.setTimeout(config.idleTimeoutMs, () => exchange.reset());
      begin(exchange);
    },
  );

  return {
    serveHttp1: (connection) => void http1.emit('connection', connection),
    serveHttp2: (connection) => {
      // In HTTP/2, a client that ends its side is gone. Node's server only notices that if the socket then closes.
      connection.allowHalfOpen = false;
      http2.emit('connection', connection);
    },
    async close(graceMs) {
      http1.closeIdleConnections();
      for (const session of sessions) session.close();
      if (open.size > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, graceMs);
          onIdle = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      for (const exchange of open) exchange.reset();
      // The resets must be sent before the connections close, because a stream that ends with its connection can look
      // complete.
      await nextTurn();
      for (const session of sessions) session.destroy();
      http1.closeAllConnections();
      // The server never listened, so this only stops its check for slow clients.
      http1.close();
    },
  };
}

function createHttp1(config: GatewayConfig, clientOf: ClientReader, begin: (exchange: Exchange) => void): Server {
  const server = createHttp1Server({
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: config.headersTimeoutMs,
    // An upload may take hours. The idle limit ends a silent one.
    requestTimeout: 0,
    keepAliveTimeout: config.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1000, config.headersTimeoutMs),
    shouldUpgradeCallback: canUpgrade,
  });
  // Node silently drops headers above this count. The size of the head is the limit instead.
  server.maxHeadersCount = 0;
  server.setTimeout(config.idleTimeoutMs, (socket) => resetSocket(socket));
  const turns = createTurns();
  const take = (request: IncomingMessage, response: ServerResponse, options: { expectsContinue: boolean }): void =>
    turns.take(request.socket, response, () => begin(exchangeFromRequest(request, response, { ...options, clientOf })));
  server.on('request', (request, response) => take(request, response, { expectsContinue: false }));
  server.on('checkContinue', (request: IncomingMessage, response) =>
    take(request, response, { expectsContinue: true }),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node has released the connection, so earlier answers can no longer be sent.
    if (turns.isBusy(socket)) resetSocket(socket);
    else begin(exchangeFromUpgrade(request, socket, { head, clientOf }));
  });
  server.on('connect', (_request, socket: Duplex) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  // Node starts its check for slow clients on this event, which a server without a port never emits.
  server.emit('listening');
  return server;
}

/** `Upgrade: h2c` is declined as RFC 9113 allows, and so is an upgrade with a body. Both continue as plain requests. */
function canUpgrade(request: IncomingMessage): boolean {
  const { upgrade, 'content-length': length, 'transfer-encoding': coding } = request.headers;
  if (upgrade === undefined || /\bh2c\b/i.test(upgrade)) return false;
  return coding === undefined && (length === undefined || length === '0');
}

/**
 * Closes a connection that has no stream: after the headers timeout if it never had one, otherwise after the keep-alive
 * time.
 */
function cutWhenUnused(session: ServerHttp2Session, config: GatewayConfig): void {
  let streams = 0;
  let timer = setTimeout(() => session.destroy(), config.headersTimeoutMs);
  session.on('stream', (stream) => {
    streams += 1;
    clearTimeout(timer);
    stream.once('close', () => {
      streams -= 1;
      if (streams === 0 && !session.destroyed) timer = setTimeout(() => session.close(), config.keepAliveTimeoutMs);
    });
  });
  session.on('close', () => clearTimeout(timer));
}
