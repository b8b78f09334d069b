import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { GatewayConfig } from '../config.ts';
import type { HttpServers } from './http-servers.ts';
import { listen, tcpOptions } from './listen.ts';
import type { Listener } from './listen.ts';

/**
 * The beginning of an HTTP/2 connection (RFC 9113, section 3.4). No HTTP/1 method starts with these three letters and a
 * blank.
 */
const prefaceStart = Buffer.from('PRI ');

/** The port without TLS: HTTP/1.1 and h2c, distinguished by the first bytes. */
export async function openPlainPort(config: GatewayConfig, servers: HttpServers, bound?: number): Promise<Listener> {
  const pending = new Set<Socket>();
  const server = createServer(tcpOptions, (socket) => {
    pending.add(socket);
    socket.on('close', () => pending.delete(socket));
    peek(socket, config.headersTimeoutMs, (isHttp2) => {
      pending.delete(socket);
      if (isHttp2) servers.serveHttp2(socket);
      else servers.serveHttp1(socket);
    });
  });
  const place = bound === undefined ? { host: config.host, port: config.port } : { fd: bound };
  return await listen(server, { place, maxConnections: config.maxConnections, pending });
}

function peek(socket: Socket, timeoutMs: number, decide: (isHttp2: boolean) => void): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const onError = (): void => void socket.destroy();
  const onEnd = (): void => void socket.destroy();
  const onData = (chunk: Buffer): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, prefaceStart.length);
    const isPrefix = seen.compare(prefaceStart, 0, compared, 0, compared) === 0;
    if (isPrefix && compared < prefaceStart.length) return;
    clearTimeout(timer);
    socket.off('data', onData).off('error', onError).off('end', onEnd);
    socket.pause();
    socket.unshift(seen);
    decide(isPrefix);
    // Only after the server has taken over, so that the bytes put back are not lost.
    process.nextTick(() => socket.resume());
  };
  socket.on('data', onData).on('error', onError).on('end', onEnd);
  socket.once('close', () => clearTimeout(timer));
}
