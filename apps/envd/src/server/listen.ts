import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createNetServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { applyBackPressure } from './back-pressure.ts';

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Longest wait for the first byte of a connection, and for the headers of a request. */
const headersTimeoutMs = 60_000;
const keepAliveTimeoutMs = 75_000;
const maxHeaderBytes = 64 * 1024;
/** Of a body, what may wait in memory to be taken. */
const bodyBufferBytes = 256 * 1024;
/** A window large enough for fast uploads; streams as many as a busy gateway needs. */
const http2Settings = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: 1000 };
/** Every HTTP/2 connection starts with "PRI * HTTP/2.0" (RFC 9113 section 3.4); no HTTP/1 method begins so. */
const http2Preface = 'PRI';

/** HTTP/1.1 and cleartext HTTP/2 on one port, told apart by the first bytes of a connection. */
export async function listen(port: number, handler: RequestHandler): Promise<Server> {
  const options = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0,
    keepAliveTimeout: keepAliveTimeoutMs,
    maxHeaderSize: maxHeaderBytes,
    highWaterMark: bodyBufferBytes,
  };
  const http1 = createHttpServer(options, (request, response) => {
    applyBackPressure(request, response);
    handler(request, response);
  });
  // It never listens itself, and only a listening server checks headersTimeout.
  http1.emit('listening');
  const http2 = createHttp2Server({ settings: http2Settings }, handler as never);
  const server = createNetServer({ noDelay: true }, (socket) => {
    dispatch(socket, (isHttp2) => (isHttp2 ? http2 : http1).emit('connection', socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // `::` takes IPv4 too where the kernel has IPv6 (bindv6only = 0).
    listenOnAll(server, port, resolve, reject);
  });
  server.on('error', () => undefined);
  return server;
}

function listenOnAll(server: Server, port: number, resolve: () => void, reject: (error: Error) => void): void {
  server.removeAllListeners('error');
  server.once('error', () => {
    server.once('error', reject);
    server.listen(port, '0.0.0.0', resolve);
  });
  server.listen(port, '::', resolve);
}

function dispatch(socket: Socket, accept: (isHttp2: boolean) => void): void {
  socket.on('error', () => socket.destroy());
  const timer = setTimeout(() => socket.destroy(), headersTimeoutMs);
  socket.once('close', () => clearTimeout(timer));
  socket.once('readable', () => {
    clearTimeout(timer);
    const first = socket.read() as Buffer | null;
    if (first === null) {
      socket.destroy();
      return;
    }
    socket.unshift(first);
    accept(first.subarray(0, http2Preface.length).toString('latin1') === http2Preface);
  });
}
