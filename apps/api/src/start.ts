import { chmod, lstat, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { isNodeError, sleep, SoulBoxError, systemClock } from '@soulbox/base';
import type { Clock, Logger, Secret, SupervisedProcesses } from '@soulbox/base';
import type { FunctionService } from '@soulbox/contract/function-service';
import type { OutsidePolicy } from '@soulbox/network/outside';
import type { BlobStore, DiskReserve, Records } from '@soulbox/storage';
import { stoppedReason } from './builder/follow.ts';
import type { ApiConfig } from './config.ts';
import { createContext } from './context.ts';
import type { ApiContext, StageBackup } from './context.ts';
import { createApp } from './http/app.ts';
import type { ApiApp } from './http/app.ts';
import { purgeUntilStop } from './purge.ts';
import { addRoutes } from './routes.ts';
import type { Runner } from './runner/client.ts';
import { followRunnerEvents } from './reconcile/follow-events.ts';
import { deliverUntilStop } from './webhooks/deliver-until-stop.ts';

/** Where the API listens: a unix socket behind the gateway, or TCP. Port 0 takes a free one. */
export type ListenOn = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface ApiOptions {
  readonly config: ApiConfig;
  /** Stays the caller's: close it after the API. */
  readonly records: Records;
  /** A client of the one runner. On one machine it speaks over `createRouterTransport`. */
  readonly runner: Runner;
  /** Where archives for builds go; the caller's too, and the one that the runner reads from. */
  readonly files: BlobStore;
  /** Of the disk that records and files are on. */
  readonly reserve: DiskReserve;
  /** Lines that the server's log could not take; for the metrics. */
  readonly droppedLogLines?: () => number;
  /** What a supervisor has told of the other processes of the server; absent: there is none. */
  readonly supervised?: (() => SupervisedProcesses) | undefined;
  /** Absent: functions answer 501. */
  readonly functions?: FunctionService | undefined;
  /** Which addresses a tenant may have the host connect to. */
  readonly outside: OutsidePolicy;
  /** Fills the stage of a backup. Absent: this server makes none. */
  readonly stageBackup?: StageBackup | undefined;
  /** The operator: who shows it reads the server's own figures at `/metrics`, and has backups made. */
  readonly metricsToken: Secret;
  readonly listen: ListenOn;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** A running control plane. Disposing lets requests that run finish for 5 s, then closes their connections. */
export interface Api extends AsyncDisposable {
  /** Base URL on TCP, or the path of the unix socket. */
  readonly address: string;
}

/** How long the start waits to compare the records with the runner. An absent runner does not stop the API. */
const firstSyncMs = 2000;
/** How long running requests may take to finish when the server stops. */
const drainMs = 5000;

/**
 * Starts the control plane: clears what a killed process left behind, brings records and runner together,
 * then listens. Throws `host_not_ready` when the address is taken.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { config, records, runner, functions, stageBackup, files, reserve, outside, metricsToken } = options;
  const { logger, clock = systemClock, droppedLogLines = () => 0, supervised = alone } = options;
  const stop = new AbortController();
  const context = createContext(
    {
      config,
      records,
      runner,
      functions,
      stageBackup,
      files,
      reserve,
      droppedLogLines,
      supervised,
      outside,
      metricsToken,
      logger,
      clock,
    },
    stop.signal,
  );
  await clearLeftovers(context);
  const app = await createApp(context);
  await addRoutes(app, context);
  const follower = followRunnerEvents(context);
  const purge = purgeUntilStop(context);
  const deliveries = deliverUntilStop(context);
  const dispose = async (): Promise<void> => {
    stop.abort();
    await closeApp(app);
    await context.builder[Symbol.asyncDispose]();
    await follower[Symbol.asyncDispose]();
    await purge;
    await deliveries;
  };
  try {
    await Promise.race([follower.synced, sleep(firstSyncMs, stop.signal)]);
    const address = await listen(app, options.listen);
    logger.info({ address }, 'api is listening');
    return { address, [Symbol.asyncDispose]: dispose };
  } catch (thrown) {
    await dispose();
    throw thrown;
  }
}

const alone = (): SupervisedProcesses => ({ processes: [], restarts: [] });

/** What a process that was killed had begun: nobody goes on with it. */
async function clearLeftovers({ records, logger, clock }: ApiContext): Promise<void> {
  const creations = await records.sandboxes.clearCreations();
  const builds = await records.builds.failUnderway(stoppedReason, clock.now());
  const uploads = await records.buildFiles.clearReserved();
  if (creations + builds + uploads > 0) logger.warn({ creations, builds, uploads }, 'interrupted by the last stop');
}

async function listen(app: ApiApp, where: ListenOn): Promise<string> {
  const path = 'socketPath' in where ? where.socketPath : undefined;
  try {
    if (path !== undefined) await removeStaleSocket(path);
    await app.listen('socketPath' in where ? { path: where.socketPath } : { host: where.host, port: where.port });
  } catch (thrown) {
    const what = 'socketPath' in where ? where.socketPath : `${where.host}:${where.port}`;
    if (!isNodeError(thrown)) throw thrown;
    throw new SoulBoxError('host_not_ready', `The API cannot listen on ${what}: ${thrown.code ?? ''}.`, {
      cause: thrown,
    });
  }
  if (path === undefined) return urlFromAddress(app.server.address() as AddressInfo);
  await chmod(path, 0o600);
  return path;
}

/** A killed server leaves its socket behind. Nothing but a socket is ever removed. */
async function removeStaleSocket(path: string): Promise<void> {
  const present = await lstat(path).catch(() => undefined);
  if (present?.isSocket() === true) await rm(path);
}

function urlFromAddress({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

async function closeApp(app: ApiApp): Promise<void> {
  const late = setTimeout(() => app.server.closeAllConnections(), drainMs);
  try {
    await app.close();
  } finally {
    clearTimeout(late);
  }
}
