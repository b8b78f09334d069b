import { lstat, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { ConnectRouter } from '@connectrpc/connect';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { FrameError } from './frame.ts';
import * as limits from './limits.ts';
import { createMethodTable } from './method-table.ts';
import { readPeer } from './peer.ts';
import type { Peer } from './peer.ts';
import { serveConnection } from './serve-connection.ts';
import type { ServedConnection } from './serve-connection.ts';

/** The services for one kind of peer. */
export interface Door {
  /** For the log. */
  readonly name: string;
  /** The first door that admits a peer serves it. */
  readonly admits: (peer: Peer) => boolean;
  readonly routes: (router: ConnectRouter) => void;
  /** Connections at once; further ones are closed. Default: 4096. */
  readonly maxConnections?: number;
  /**
   * Bytes of incomplete frames over all connections. A connection that goes beyond it is closed. Default: 256 MiB.
   */
  readonly partialMaxBytes?: number;
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
 * Serves the methods of Connect services on a Unix socket, by frames (spec/rpc.md). The kernel identifies the peer,
 * which gets only the services of its door. Disposing refuses new calls, and closes connections with calls in progress
 * after 2 s. Throws `host_not_ready`.
 */
export async function serveSocket({ path, doors, mode = 0o600, logger }: ServeSocketOptions): Promise<AsyncDisposable> {
  const entrances = doors.map((door) => openEntrance(door, logger));
  const server = createServer((socket) => {
    const peer = readPeer(socket);
    const entrance = peer === undefined ? undefined : entrances.find(({ door }) => door.admits(peer));
    if (entrance === undefined) refuse(socket, peer, 'no door admits it', logger);
    else if (!entrance.accept(socket)) refuse(socket, peer, 'its door has too many connections', logger);
  });
  await listen(server, path, mode);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const entrance of entrances) entrance.drain();
      const late = setTimeout(() => {
        for (const entrance of entrances) entrance.close();
      }, drainMs);
      await closed;
      clearTimeout(late);
    },
  };
}

/** A door and the connections of the peers that it has admitted. */
interface Entrance {
  readonly door: Door;
  /** False if the door has too many connections. */
  accept(socket: Socket): boolean;
  drain(): void;
  close(): void;
}

function openEntrance(door: Door, logger: Logger): Entrance {
  const methods = createMethodTable(door.routes);
  const { maxConnections = limits.maxConnections, partialMaxBytes = limits.partialMaxBytes } = door;
  const connections = new Map<Socket, ServedConnection>();
  const checkHeld = (): void => {
    let heldBytes = 0;
    for (const connection of connections.values()) heldBytes += connection.heldBytes;
    if (heldBytes > partialMaxBytes) throw new FrameError('the door holds too many incomplete frames');
  };
  return {
    door,
    accept(socket) {
      if (connections.size >= maxConnections) return false;
      const doorLogger = logger.child({ door: door.name });
      connections.set(socket, serveConnection(socket, { methods, logger: doorLogger, checkHeld }));
      socket.once('close', () => connections.delete(socket));
      return true;
    },
    drain() {
      for (const connection of connections.values()) connection.drain();
    },
    close() {
      for (const socket of connections.keys()) socket.destroy();
    },
  };
}

function refuse(socket: Socket, peer: Peer | undefined, reason: string, logger: Logger): void {
  socket.on('error', () => undefined);
  socket.destroy();
  logger.warn({ peer, reason }, 'connection of a process refused');
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
