import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { readOriginalDestination } from '@soulbox/linux/sockets';
import { createTokenBucket } from '../policies/token-bucket.ts';
import { adoptSocket } from '../sockets/socket-reader.ts';
import type { ConnectionContext } from './context.ts';
import { serveConnection } from './serve-connection.ts';

/** Connections that wait to be accepted. */
const backlog = 4096;
/** Silence after which the kernel asks a peer whether it still exists. Milliseconds. */
const keepAliveMs = 60_000;
/** Warnings per second. Sandboxes choose how many connections they open, and must not fill the log of the server. */
const warningsPerSecond = 0.1;

export interface ConnectionServer extends AsyncDisposable {
  readonly port: number;
  readonly openConnections: () => number;
}

export type FindDestination = (socket: Socket) => { readonly address: string; readonly port: number } | undefined;

/** Accepts redirected connections. Rejects with Node's error if the port is in use. Disposing resets what is open. */
export async function acceptConnections(
  context: ConnectionContext,
  listen: { readonly address: string; readonly port: number },
  findDestination: FindDestination = readOriginalDestination,
): Promise<ConnectionServer> {
  const { table, limits, logger, log } = context;
  const open = new Set<Socket>();
  const warnings = createTokenBucket(warningsPerSecond, 1);
  const ofTeams = new Map<string, number>();
  const countTeam = (teamId: string, by: number): void => {
    const count = (ofTeams.get(teamId) ?? 0) + by;
    if (count > 0) ofTeams.set(teamId, count);
    else ofTeams.delete(teamId);
  };
  const accept = (accepted: Socket): void => {
    const client = adoptSocket(accepted).on('error', () => undefined);
    const destination = findDestination(client);
    const entry = table.find(client.remoteAddress ?? '');
    // Nothing is known about whose it is, so nobody's log gets it.
    if (entry === undefined || destination === undefined || open.size >= limits.connections) {
      if (entry !== undefined && warnings.tryTake(1))
        logger.warn({ open: open.size }, 'connections of sandboxes were refused');
      client.resetAndDestroy();
      return;
    }
    const { sandboxId, teamId } = entry.current;
    const isTeamFull = (ofTeams.get(teamId) ?? 0) >= limits.teamConnections;
    const refused = isTeamFull ? 'connection_limit' : entry.usage.admit();
    if (refused !== undefined) {
      client.resetAndDestroy();
      log.add({
        ...{ sandboxId, teamId, startedAtMs: Date.now(), durationMs: 0, protocol: 'tcp', name: '', ...destination },
        ...{ rule: '', isAllowed: false, reason: refused, bytesSent: 0, bytesReceived: 0, method: '', path: '' },
      });
      return;
    }
    open.add(client);
    countTeam(teamId, 1);
    void serveConnection(context, entry, client, destination).finally(() => {
      entry.usage.release();
      open.delete(client);
      countTeam(teamId, -1);
    });
  };
  const options = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true };
  const server = createServer({ ...options, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, accept);
  server.listen({ host: listen.address, port: listen.port, backlog });
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    openConnections: () => open.size,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const client of open) client.resetAndDestroy();
      await closed;
    },
  };
}
