import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '@soulbox/base';
import type { SshAuthority } from '@soulbox/contract/ssh-service';
import ssh2 from 'ssh2';
import type { Connection } from 'ssh2';
import { algorithms } from './algorithms.ts';
import { boundMemory, createMemoryBudget } from './bound-memory.ts';
import type { MemoryBound } from './bound-memory.ts';
import type { InsidePrograms } from './channels/session.ts';
import { createOpenGrants } from './connections/open-grants.ts';
import { serveClient } from './connections/serve-client.ts';
import { createStrangers } from './connections/strangers.ts';
import { socketOf } from './library.ts';
import { listenersOfSandboxMax, remoteOfSandboxMax, signInMs, teamShare } from './limits.ts';
import { takeGlobalRequests } from './global-requests.ts';
import { createTally } from './tally.ts';

export interface SshOptions {
  /** A bound socket, or where to listen. */
  readonly place: { readonly fd: number } | { readonly host: string; readonly port: number };
  /** In the format of OpenSSH. */
  readonly hostKey: string;
  readonly programs: InsidePrograms;
  readonly maxConnections: number;
  readonly authority: SshAuthority;
  /** The Unix socket on which the gateway serves this process. */
  readonly gatewaySocket: string;
  readonly logger: Logger;
}

export interface Ssh extends AsyncDisposable {
  readonly port: number;
  readonly openConnections: () => number;
}

/** Serves SSH. Rejects with Node's error for a port in use. Disposing ends all connections. */
export async function startSsh(options: SshOptions): Promise<Ssh> {
  const { place, hostKey, programs, maxConnections, authority, gatewaySocket, logger } = options;
  const strangers = createStrangers();
  /** Those that have signed in, with their teams. */
  const inside = new Map<Socket, string>();
  const teamMax = Math.max(1, Math.floor(maxConnections / teamShare));
  const sockets = new Set<Socket>();
  const budget = createMemoryBudget();
  const grants = createOpenGrants(authority, logger);
  const bounds = new WeakMap<Socket, MemoryBound>();
  const greetings = new WeakMap<Socket, NodeJS.Timeout>();
  const context = {
    ...{ authority, gatewaySocket, programs, grants, logger },
    remoteLimits: { listeners: createTally(listenersOfSandboxMax), clients: createTally(remoteOfSandboxMax) },
    decide: (socket: Socket, isDecided: boolean) => strangers.decide(socket, isDecided),
    enter(socket: Socket, teamId: string): boolean {
      const ofTeam = [...inside.values()].filter((team) => team === teamId).length;
      if (inside.size >= maxConnections || ofTeam >= teamMax) return false;
      clearTimeout(greetings.get(socket));
      strangers.release(socket);
      inside.set(socket, teamId);
      return true;
    },
  };

  const limitGreeting = (socket: Socket, ms: number): void => {
    clearTimeout(greetings.get(socket));
    greetings.set(
      socket,
      setTimeout(() => socket.destroy(), ms),
    );
  };
  takeGlobalRequests();
  const protocol = new ssh2.Server({ hostKeys: [hostKey], ident: 'SoulBox', algorithms });
  protocol.on('connection', (client: Connection) => {
    const socket = socketOf(client);
    const memory = bounds.get(socket);
    if (memory === undefined) {
      socket.destroy();
      return;
    }
    limitGreeting(socket, greetingMs);
    serveClient(client, socket, memory, context);
  });

  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) => {
    socket.on('error', () => undefined);
    if (!strangers.admit(socket)) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    limitGreeting(socket, signInMs);
    // The library ends the connection for what it cannot read, and would go on to receive.
    socket.once('finish', () => setTimeout(() => socket.destroy(), endedMs).unref());
    socket.once('close', () => {
      clearTimeout(greetings.get(socket));
      sockets.delete(socket);
      inside.delete(socket);
    });
    protocol.injectSocket(socket);
    const cut = (why: string): void => {
      logger.warn({ address: socket.remoteAddress, why }, 'an SSH connection was cut');
      socket.destroy();
    };
    bounds.set(socket, boundMemory(socket, budget, cut));
  });
  server.on('error', () => undefined);
  server.listen({ ...place, backlog: 1024 });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    openConnections: () => sockets.size,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await grants[Symbol.asyncDispose]();
    },
  };
}

/** From the client's version until it is in, with the time in which control resumes its sandbox. Milliseconds. */
const greetingMs = 180_000;
/** How long a client may take to close a connection that has been ended. Milliseconds. */
const endedMs = 1000;
