import { lstat, rm } from 'node:fs/promises';
import { createServer as createHttp2Server } from 'node:http2';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { messageMaxBytes, sessionMemoryMib, sessionSettings } from './limits.ts';
import { readPeer } from './peer.ts';
import type { Peer } from './peer.ts';

/** The services for one kind of peer. */
export interface Door {
  /** For the log. */
  readonly name: string;
  /** The first door that admits a peer serves it. */
  readonly admits: (peer: Peer) => boolean;
  readonly routes: (router: ConnectRouter) => void;
}

export interface ServeSocketOptions {
  /** The path of the socket. The socket of a killed server is replaced; any other file is left alone. */
  readonly path: string;
  /** A peer that no door admits is disconnected before a byte is read. */
  readonly doors: readonly Door[];
  /**
   * The mode of the socket. Other users need write access to connect; the doors decide what they may call. Default:
   * 0600.
   */
  readonly mode?: number;
  readonly logger: Logger;
}

/** How long calls in progress may take to end when the server stops. */
const drainMs = 2000;

/**
 * Serves Connect over HTTP/2 on a Unix socket. The kernel identifies the peer: each door is an HTTP/2 server that has
 * only the services of that door. Disposing closes connections that are still open after 2 s. Throws `host_not_ready`.
 */
export async function serveSocket({ path, doors, mode = 0o600, logger }: ServeSocketOptions): Promise<AsyncDisposable> {
  const sessions = new Set<ServerHttp2Session>();
  const served = doors.map((door) => ({ door, server: createDoor(door, sessions, logger) }));
  const server = createServer((socket) => {
    const peer = readPeer(socket);
    const entrance = peer === undefined ? undefined : served.find(({ door }) => door.admits(peer));
    if (entrance !== undefined) {
      entrance.server.emit('connection', socket);
      return;
    }
    refuse(socket, peer, logger);
  });
  await listen(server, path, mode);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.close();
      const late = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, drainMs);
      await closed;
      clearTimeout(late);
    },
  };
}

function createDoor(door: Door, sessions: Set<ServerHttp2Session>, logger: Logger): Http2Server {
  const server = createHttp2Server(
    { settings: sessionSettings, maxSessionMemory: sessionMemoryMib },
    connectNodeAdapter({ routes: door.routes, readMaxBytes: messageMaxBytes, acceptCompression: [] }),
  );
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  // A peer was killed in the middle of a call.
  server.on('sessionError', (err) => logger.debug({ door: door.name, err }, 'connection of a process broke'));
  return server;
}

function refuse(socket: Socket, peer: Peer | undefined, logger: Logger): void {
  socket.on('error', () => undefined);
  socket.destroy();
  logger.warn({ peer }, 'connection of an unauthorized process refused');
}

async function listen(server: Server, path: string, mode: number): Promise<void> {
  const present = await lstat(path).catch(() => undefined);
  if (present?.isSocket() === true) await rm(path);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      // The socket is created before `listen` returns, so its mode is right from the first moment.
      const umask = process.umask(0o777 & ~mode);
      try {
        server.listen({ path }, () => {
          server.off('error', reject);
          resolve();
        });
      } finally {
        process.umask(umask);
      }
    });
  } catch (cause) {
    const code = isNodeError(cause) ? (cause.code ?? '') : '';
    throw new SoulBoxError('host_not_ready', `The server cannot listen on ${path}: ${code}.`, { cause });
  }
}
