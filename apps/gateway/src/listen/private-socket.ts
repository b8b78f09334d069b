import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { GatewayConfig } from '../config.ts';
import type { HttpServers } from './http-servers.ts';
import { listen, tcpOptions } from './listen.ts';
import type { Listener } from './listen.ts';

/** A Unix socket for another process of the server, with HTTP/1.1. `bound`: where it is, in a folder that only it may enter. */
export async function openPrivateSocket(
  { maxConnections }: Pick<GatewayConfig, 'maxConnections'>,
  servers: HttpServers,
  bound: number,
): Promise<Listener> {
  const pending = new Set<Socket>();
  const server = createServer({ allowHalfOpen: tcpOptions.allowHalfOpen }, (socket) => servers.serveHttp1(socket));
  return await listen(server, { place: { fd: bound }, maxConnections, pending });
}
