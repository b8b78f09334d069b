import { createServer as createHttpServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { Acceptor, RequestHandler } from './acceptor.ts';
import { applyBackPressure } from './back-pressure.ts';
import { holdPort } from './hold-port.ts';
import { createIdleTimer } from './idle-timer.ts';
import type { IdleTimer } from './idle-timer.ts';

const maxHeaderBytes = 64 * 1024;
/** The part of a body that may wait in memory to be read. */
const bodyBufferBytes = 256 * 1024;
/**
 * Every HTTP/2 connection starts with "PRI * HTTP/2.0" (RFC 9113 section 3.4). No HTTP/1 method starts with these
 * letters.
 */
const http2Preface = 'PRI';

/**
 * Serves HTTP/1.1 and cleartext HTTP/2 on one port of all addresses, distinguished by the first bytes of a connection.
 * `holdsPort`: no user can listen at one of these addresses instead, see hold-port.ts.
 */
export async function listen(
  port: number,
  handler: RequestHandler,
  { holdsPort = false }: { holdsPort?: boolean } = {},
): Promise<Server> {
  const acceptHttp1 = createHttp1Acceptor(handler);
  // Most sandboxes never see HTTP/2, and loading it takes an eighth of the CPU time of a start.
  let http2: Promise<Acceptor> | undefined;
  const loadHttp2 = async (): Promise<Acceptor> => (await import('./http2-acceptor.ts')).createHttp2Acceptor(handler);
  const accept = (socket: Socket): void => {
    socket.on('error', () => socket.destroy());
    const timer = createIdleTimer(socket);
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null;
      if (first === null) {
        socket.destroy();
        return;
      }
      socket.unshift(first);
      const isHttp2 = first.subarray(0, http2Preface.length).toString('latin1') === http2Preface;
      if (!isHttp2) {
        acceptHttp1(socket, timer);
        return;
      }
      http2 ??= loadHttp2();
      http2.then(
        (acceptHttp2) => acceptHttp2(socket, timer),
        () => socket.destroy(),
      );
    });
  };
  const server = createNetServer({ noDelay: true }, accept);
  // `::` also accepts IPv4 if the kernel has IPv6.
  await listenAt(server, port, '::').catch(async () => await listenAt(server, port, '0.0.0.0'));
  server.on('error', () => undefined);
  if (holdsPort) await holdPort(port, accept);
  return server;
}

function createHttp1Acceptor(handler: RequestHandler): Acceptor {
  const timers = new WeakMap<Socket, IdleTimer>();
  const options = { requestTimeout: 0, maxHeaderSize: maxHeaderBytes, highWaterMark: bodyBufferBytes };
  const server = createHttpServer(options, (request, response) => {
    timers.get(request.socket)?.requestBegins(response);
    applyBackPressure(request, response);
    handler(request, response);
  });
  return (socket, timer) => {
    timers.set(socket, timer);
    server.emit('connection', socket);
  };
}

async function listenAt(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
