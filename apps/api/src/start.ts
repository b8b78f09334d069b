import { chmod, lstat, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { isNodeError, sleepUnlessAborted, SoulBoxError, systemClock } from '@soulbox/base';
import type { Clock, Logger, Secret, SupervisedProcesses } from '@soulbox/base';
import type { BucketRecords } from '@soulbox/contract/bucket-record-service';
import type { FunctionService } from '@soulbox/contract/function-service';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import type { SandboxUseReporter } from '@soulbox/contract/sandbox-use-service';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import type { SshAuthority } from '@soulbox/contract/ssh-service';
import type { BlobKeys, Keyring } from '@soulbox/keyring';
import type { OutsidePolicy } from '@soulbox/network/outside';
import type { BlobStore, DiskReserve, Records } from '@soulbox/storage';
import { stoppedReason } from './builder/follow.ts';
import type { ApiConfig } from './config.ts';
import { createConnectionLog } from './connections/connection-log.ts';
import { takeConnectionsUntilStop } from './connections/take-until-stop.ts';
import { createContext } from './context.ts';
import type { ApiContext, AuditParts, ReadObjectCache, SshServer, StageBackup } from './context.ts';
import { enforceBudgetsUntilStop } from './budgets/enforce-until-stop.ts';
import { createApp } from './http/app.ts';
import type { ApiApp } from './http/app.ts';
import { purgeUntilStop } from './purge.ts';
import { addRoutes } from './routes.ts';
import type { Runner } from './runner/client.ts';
import { followRunnerEvents } from './reconcile/follow-events.ts';
import { createPlaceholderResolver } from './placeholders/resolve.ts';
import { createUseRecorder } from './sandboxes/record-uses.ts';
import { createSshAuthority } from './ssh-keys/authority.ts';
import { createSignedUrlChecker } from './signed-urls/check.ts';
import type { BucketService } from './bucket-service/bucket-service.ts';
import { createBucketAccess } from './buckets/bucket-access.ts';
import type { VolumeService } from './volume-service/volume-service.ts';
import { removeContentsUntilStop } from './volumes/remove-contents.ts';
import { sequenceUntilStop } from './trail/sequence-until-stop.ts';
import { deliverUntilStop } from './webhooks/deliver-until-stop.ts';

/** The address on which the API listens: a unix socket behind the gateway, or TCP. Port 0 selects a free port. */
export type ListenOn = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface ApiOptions {
  readonly config: ApiConfig;
  /** Owned by the caller, who closes it after the API. */
  readonly records: Records;
  /** Encrypts secrets of the records. Owned by the caller, who closes it after the API. */
  readonly keyring: Keyring;
  /** A client of the runner. In a single-process server its transport is `createRouterTransport`. */
  readonly runner: Runner;
  /** The store of archives for builds. Owned by the caller, and also read by the runner. */
  readonly files: BlobStore;
  /** With which the runner can read these archives. */
  readonly fileKeys: BlobKeys;
  /** The reserve on the disk of records and files. */
  readonly reserve: DiskReserve;
  /** The number of lines that the server's log had to drop, for the metrics. */
  readonly droppedLogLines?: () => number;
  /** The supervisor's latest report about the other processes of the server. Absent: there is no supervisor. */
  readonly supervised?: (() => SupervisedProcesses) | undefined;
  /** Absent: functions return 501. */
  readonly functions?: FunctionService | undefined;
  /** Has the contents of volumes. Absent: volumes return 501. */
  readonly volumes?: VolumeService | undefined;
  /** Reads and writes buckets. Absent: they cannot be mounted or checked. */
  readonly bucketService?: BucketService | undefined;
  /** Decides which addresses the host may connect to for a tenant. */
  readonly outside: OutsidePolicy;
  /** Fills the stage of a backup. Absent: this server makes no backups. */
  readonly stageBackup?: StageBackup | undefined;
  /** The operator's token. It gives access to the server's own figures at `/metrics` and to backups. */
  readonly metricsToken: Secret;
  /** The administrator's token. It gives access to the limits of teams. */
  readonly adminToken: Secret;
  /** The secret from which the keys of signed URLs are derived. */
  readonly signingRoot: Secret;
  /** Of this server at the provider of sign-in. Absent: it has none. */
  readonly oidcClientSecret?: Secret | undefined;
  readonly audit: AuditParts;
  /** Where clients connect by SSH. Absent: it is off. */
  readonly ssh?: SshServer | undefined;
  /** The figures of the cache of objects. Absent: there is no cache. */
  readonly readObjectCache?: ReadObjectCache | undefined;
  /** Called before routes are added: a description of the API is made from what they declare. */
  readonly beforeRoutes?: ((app: FastifyInstance) => Promise<void>) | undefined;
  readonly listen: ListenOn;
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** A running control plane. Disposing gives running requests 5 s to finish and then closes their connections. */
export interface Api extends AsyncDisposable {
  /** Base URL on TCP, or the path of the unix socket. */
  readonly address: string;
  /** Decides about signed requests that do not go to the API itself. */
  readonly signedUrls: SignedUrlChecker;
  /** Adds what the egress process reports to the logs of the teams. */
  readonly recordConnections: EgressRecords['record'];
  /** Gives the egress process the values of placeholders. */
  readonly resolvePlaceholders: EgressRecords['resolve'];
  /** Records how often sandboxes are used. */
  readonly sandboxUses: SandboxUseReporter;
  /** Decides who enters a sandbox by SSH. */
  readonly ssh: SshAuthority;
  /** Tells the bucket service where buckets are, with their credentials. */
  readonly buckets: BucketRecords;
}

/** How long the start waits for the comparison of records and runner. The API also starts without a runner. */
const firstSyncMs = 2000;
/** How long running requests may continue when the server stops. */
const drainMs = 5000;

/**
 * Starts the control plane: removes what a killed process left behind, reconciles the records with the runner, then
 * listens. Throws `host_not_ready` when the address is in use.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const {
    config,
    records,
    keyring,
    runner,
    functions,
    volumes,
    bucketService,
    stageBackup,
    files,
    fileKeys,
    reserve,
    outside,
    metricsToken,
    adminToken,
    signingRoot,
    oidcClientSecret,
    audit,
    ssh,
  } = options;
  const { readObjectCache = () => Promise.resolve(undefined) } = options;
  const { logger, clock = systemClock, droppedLogLines = () => 0, supervised = alone } = options;
  const stop = new AbortController();
  const context = createContext(
    {
      config,
      records,
      keyring,
      runner,
      functions,
      volumes,
      bucketService,
      stageBackup,
      files,
      fileKeys,
      reserve,
      droppedLogLines,
      supervised,
      outside,
      metricsToken,
      adminToken,
      signingRoot,
      oidcClientSecret,
      audit,
      ssh,
      readObjectCache,
      logger,
      clock,
    },
    stop.signal,
  );
  await clearLeftovers(context);
  const app = await createApp(context);
  await options.beforeRoutes?.(app);
  await addRoutes(app, context);
  const follower = followRunnerEvents(context);
  const purge = purgeUntilStop(context);
  const deliveries = deliverUntilStop(context);
  const budgets = enforceBudgetsUntilStop(context);
  const connections = takeConnectionsUntilStop(context);
  const volumeRemovals = removeContentsUntilStop(context);
  // Its own signal: it goes on until the last request has left its record.
  const lastRecord = new AbortController();
  const sequence = sequenceUntilStop(
    { ...context, logs: context.teamLogs, maxBytes: config.auditLogMb * 1024 * 1024 },
    lastRecord.signal,
  );
  const dispose = async (): Promise<void> => {
    stop.abort();
    await closeApp(app);
    await context.builder[Symbol.asyncDispose]();
    await follower[Symbol.asyncDispose]();
    await purge;
    await deliveries;
    await budgets;
    await connections;
    await volumeRemovals;
    lastRecord.abort();
    await sequence;
  };
  try {
    await Promise.race([follower.synced, sleepUnlessAborted(firstSyncMs, stop.signal)]);
    const address = await listen(app, options.listen);
    logger.info({ address }, 'api is listening');
    return {
      recordConnections: createConnectionLog(context),
      resolvePlaceholders: createPlaceholderResolver(context),
      ...{ address, signedUrls: createSignedUrlChecker(context), sandboxUses: createUseRecorder(context) },
      ...{ ssh: createSshAuthority(context), buckets: createBucketAccess(context) },
      [Symbol.asyncDispose]: dispose,
    };
  } catch (thrown) {
    await dispose();
    throw thrown;
  }
}

const alone = (): SupervisedProcesses => ({ processes: [], restarts: [] });

/** Ends the operations of a killed process, which nothing continues. */
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

/** A killed server leaves its socket behind. Nothing except a socket is ever removed. */
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
