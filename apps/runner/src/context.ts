import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { measureProcess, systemClock } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import { limitSandboxesTogether } from '@soulbox/isolation';
import type { Driver, EnvdBundle } from '@soulbox/isolation';
import type { Keyring } from '@soulbox/keyring';
import type { Network } from '@soulbox/network';
import type { OutsidePolicy } from '@soulbox/network/outside';
import type { CheckpointStore } from '@soulbox/checkpoints';
import type { BlobStore, DiskReserve } from '@soulbox/storage';
import type { Recipe, TemplateStore } from '@soulbox/templates';
import type { BlobReader } from './builds/blob-reader.ts';
import { createBuilds } from './builds/builds.ts';
import type { BuildContext } from './builds/builds.ts';
import { openLayerCache } from './builds/cache/layer-cache.ts';
import { createCacheSweeper } from './upkeep/sweep-cache.ts';
import type { RunnerConfig } from './config.ts';
import { readDirtied } from './disk-budget/read-dirtied.ts';
import { createDiskBudget } from './disk-budget/budget.ts';
import { createExportKeys } from './exports/export-key.ts';
import { createImports } from './exports/imports.ts';
import { createMemoryRoom } from './memory-room/memory-room.ts';
import type { DiskBudget, DiskBudgetOptions } from './disk-budget/budget.ts';
import { startDiskGuard } from './upkeep/disk-guard.ts';
import { standingOf } from './processes/disk-need.ts';
import { createEvents } from './registry/events.ts';
import { createSandboxMetrics } from './metrics/sandbox-metrics.ts';
import { openMetricFolder } from './metrics/metric-history.ts';
import type { MetricFolder } from './metrics/metric-history.ts';
import { createActivity } from './metrics/activity.ts';
import { createConnectionQueue } from './connections/connection-queue.ts';
import type { ConnectionQueue } from './connections/connection-queue.ts';
import { createCustomMetrics } from './metrics/custom-metrics.ts';
import type { CustomMetrics } from './metrics/custom-metrics.ts';
import { createConsumption } from './metrics/consumption.ts';
import type { Consumption } from './metrics/consumption.ts';
import { createHolds } from './registry/holds.ts';
import { createAdmission } from './registry/admission.ts';
import { createArchiveSweep } from './upkeep/archive-sweep.ts';
import { createBackground } from './background.ts';
import { openSnapshotStore } from './registry/snapshot-store.ts';
import { endSandbox, retryEndings } from './operations/end.ts';
import { getDriver, isolationOf } from './processes/sandbox-host.ts';
import type { SandboxHost } from './processes/sandbox-host.ts';
import { noVolumes } from './processes/volume-mounts.ts';
import type { VolumeMounts } from './processes/volume-mounts.ts';
import { startDeadlineLoop } from './upkeep/deadline-loop.ts';
import { sharedCpus } from './host/shared-cpus.ts';
import { keepAllWhileUnreadable } from './registry/keep-all-checkpoints.ts';
import { createReferences } from './registry/references.ts';
import { disconnect } from './processes/start-processes.ts';
import { createLogBook } from './processes/log-book.ts';
import { openLogFolder } from './processes/log-folder.ts';
import type { LogFolder } from './processes/log-folder.ts';
import type { RunnerUsageBook } from './processes/egress-usage.ts';
import type { OperationContext } from './operations/operation-context.ts';
import type { Blueprint } from './processes/blueprint.ts';
import { createSpareMaker } from './pool/make-spare.ts';
import { createPool } from './pool/pool.ts';
import type { Pool } from './pool/pool.ts';
import { createRecordSeal } from './registry/record-seal.ts';
import { createRecordStore } from './registry/record.ts';
import type { StoredSource } from './stored/open-stored-copies.ts';
import { noStoredCopies } from './stored/stored-copies.ts';
import type { StoredCopies } from './stored/stored-copies.ts';
import { fetchingCheckpoints } from './stored/fetching-checkpoints.ts';
import { recoverSandboxes } from './upkeep/recover.ts';
import { removeLeftHistories } from './upkeep/remove-left-histories.ts';
import { createDependencyCache } from './run/dependency-cache.ts';
import type { DependencyCache } from './run/dependency-cache.ts';
import { createRouter } from './serve/router.ts';
import type { Router } from './serve/router.ts';
import type { ServeContext } from './serve/serve-context.ts';
import { resumeForTraffic } from './operations/resume/resume-for-traffic.ts';
import { createBackgroundDigest } from './upkeep/background-digest.ts';
import type { BackgroundDigest } from './upkeep/background-digest.ts';
import { retrySteps } from './upkeep/retry-steps.ts';
import { createSlots } from './registry/slots.ts';
import { createSandboxTable } from './registry/table.ts';
import type { SandboxTable } from './registry/table.ts';
import { createTemplateMaker } from './templates/maker.ts';
import { createStartedTemplates } from './builds/started-templates.ts';
import { warnOfSlowOperations } from './slow-operations.ts';
import { createTeamUsage } from './operations/team-usage.ts';
import { createOnDeadline } from './upkeep/on-deadline.ts';

/** A template with bursts of creates gets at most this many times as many spares as the default template. */
const sparesByUse = 4;

export interface RunnerOptions {
  readonly config: RunnerConfig;
  /** Where sandboxes live: `<dataDirectory>/sandboxes`, and snapshots beside them. */
  readonly dataDirectory: string;
  /** By name. `config.isolation` must be one of them. */
  readonly drivers: ReadonlyMap<string, Driver>;
  readonly network: Network;
  /** Absent: sandboxes cannot mount volumes. */
  readonly volumes?: VolumeMounts;
  /** What sandboxes have used of their byte limits. Absent: nobody asks. */
  readonly usageBook?: RunnerUsageBook;
  /** What the network records of the sandboxes' connections. Absent: nothing. */
  readonly connections?: ConnectionQueue;
  /** On the same file system as `dataDirectory`. */
  readonly checkpoints: CheckpointStore;
  readonly templates: TemplateStore;
  /** Where an object store has what this host may lack. Absent: there is none. */
  readonly storedSource?: StoredSource;
  /** For dependencies that sandboxes of a team share. It has a folder of its own. */
  readonly dependencyBlobs: BlobStore;
  /** Recipes for missing templates. */
  readonly recipes: readonly Recipe[];
  readonly envdBundle: EnvdBundle;
  /** The reserve on the disk of `dataDirectory`. */
  readonly reserve: DiskReserve;
  /** The files of template builds. */
  readonly files: BlobReader;
  /** Encrypts the runner's records. */
  readonly keyring: Pick<Keyring, 'open' | 'seal'>;
  /** The addresses to which the host connects for a tenant. */
  readonly outside: OutsidePolicy;
  /** The template whose spares are always kept. */
  readonly defaultTemplate: string;
  readonly logger: Logger;
  /** Number of log lines that this process had to drop. */
  readonly droppedLogLines?: () => number;
  readonly clock?: Clock;
}

/** Everything that the runner works with. It is constructed only here. */
export interface RunnerContext extends ServeContext, AsyncDisposable {
  readonly backgroundDigest: BackgroundDigest;
}

/** Recovers what an earlier server left, then starts the pool, the deadline loop and the metrics. */
export async function createRunnerContext(given: RunnerOptions): Promise<RunnerContext> {
  const options = { ...given, logger: warnOfSlowOperations(given.logger, given.config.slowOperationMs) };
  const { logger, config } = options;
  await limitSandboxesTogether(config.instance, sharedCpus(config));
  const stopping = new AbortController();
  const {
    context: operations,
    router,
    consumption,
    customMetrics,
    folder,
    logs,
    end,
  } = await createOperations(options, stopping.signal);
  const maker = createTemplateMaker({
    ...operations,
    disks: operations.host.disks,
    store: options.templates,
    recipes: options.config.makeTemplates === 'never' ? [] : options.recipes,
    logger,
  });
  const context = { ...operations, maker };
  const pool = createRunnerPool(options, context, end);

  const recovery = await recoverSandboxes(context, pool);
  logger.info({ ...recovery }, 'sandboxes recovered');
  // Restores that a dead server began have ended by now.
  await context.host.checkpoints.sweepClear();
  expectLateRestores(context);
  const guard = startDiskGuard(context, options.dataDirectory);
  await removeLeftHistories(context, [folder, logs]);
  for (const sandbox of context.table.tenants()) context.metrics.adopt(sandbox);
  await keepDefaultTemplate(options, pool);

  const archiveSweep = createArchiveSweep(context, options.config.archiveAfterSeconds * 1000);
  const backgroundDigest = createBackgroundDigest(context);
  const sweepCache = createCacheSweeper(context);
  const started = createStartedTemplates(context, stopping.signal);
  const exportKey = createExportKeys(options.dataDirectory, createRecordSeal(options.keyring));
  const imports = createImports(context, { privateKey: exportKey, trustedKeys: config.importTrustedKeys });
  const deadlines = startDeadlineLoop({
    ...context,
    pool,
    end,
    onDeadline: createOnDeadline(context, end),
    isGone: (blueprint) => isGone(context, blueprint),
    retry: async () => {
      await retryEndings(context);
      await retrySteps(context, end);
      context.background.start(async (stopping) => await archiveSweep.sweep(stopping));
      context.background.start(sweepCache);
      context.background.start(async () => await started.sweep());
      backgroundDigest.startNext();
      await dropDamagedCheckpoints(context);
    },
    logger,
  });

  return {
    ...context,
    pool,
    started,
    backgroundDigest,
    router,
    consumption,
    customMetrics,
    ...{ exportKey, imports, uploads: { current: undefined } },
    connections: options.connections ?? createConnectionQueue(),
    dependencies: openDependencies(options, context),
    usageOf: createTeamUsage(context),
    measureProcess: measureProcess(stopping.signal, options.droppedLogLines ?? (() => 0)),
    logger,
    stopping: stopping.signal,
    end,
    async [Symbol.asyncDispose]() {
      deadlines[Symbol.dispose]();
      await guard[Symbol.asyncDispose]();
      customMetrics[Symbol.dispose]();
      await context.metrics[Symbol.asyncDispose]();
      stopping.abort();
      await imports[Symbol.asyncDispose]();
      await pool.close();
      await context.builds[Symbol.asyncDispose]();
      await context.background[Symbol.asyncDispose]();
      for (const sandbox of context.table.all()) disconnect(sandbox);
      await logs.settle();
    },
  };
}

/** After a recovery from an object store, the first resumes fetch their memory while programs run. */
function expectLateRestores({ host, table }: OperationContext): void {
  if (host.stored === noStoredCopies) return;
  const drivers = table.tenants().flatMap(({ record }) => (record.state === 'paused' ? [record.driver] : []));
  if (drivers.length > 0) host.checkpoints.expectReads();
  for (const name of new Set(drivers)) host.drivers.get(name)?.expectLateRestore();
}

function openDependencies(
  { config, dependencyBlobs, logger }: RunnerOptions,
  { clock, host: { disks } }: OperationContext,
): DependencyCache | undefined {
  if (config.dependencyCacheMb === 0) return undefined;
  return createDependencyCache({
    blobs: dependencyBlobs,
    disks,
    limitBytes: config.dependencyCacheMb * 1024 * 1024,
    maxAgeMs: config.dependencyCacheHours * 3_600_000,
    clock,
    logger,
  });
}

async function dropDamagedCheckpoints({ host, clock }: OperationContext): Promise<void> {
  const dropped = await host.checkpoints.dropDamaged(clock.now() - host.config.damagedStateHours * 3_600_000);
  if (dropped.length > 0) host.logger.info({ checkpointIds: dropped }, 'damaged checkpoints removed');
}

interface Operations {
  readonly context: Omit<BuildContext, 'maker'>;
  readonly router: Router;
  readonly consumption: Consumption;
  readonly customMetrics: CustomMetrics;
  readonly folder: MetricFolder;
  readonly logs: LogFolder;
  readonly end: RunnerContext['end'];
}

async function createOperations(options: RunnerOptions, stopping: AbortSignal): Promise<Operations> {
  const { network, logger } = options;
  const clock = options.clock ?? systemClock;
  const host = await createSandboxHost(options, clock, stopping, (sandboxId) =>
    standingOf(options, table.find(sandboxId)?.record),
  );
  const table: SandboxTable = createSandboxTable(host.store);
  const seal = createRecordSeal(options.keyring);
  options.usageBook?.follow({ table, network, logger });
  const snapshots = await openSnapshotStore(join(options.dataDirectory, 'snapshots'), logger, seal);
  const cache = await openLayerCache(join(options.dataDirectory, 'build-cache'), clock, logger, seal);
  const activity = createActivity(clock);
  const consumption = createConsumption();
  const folder = await openMetricFolder(join(options.dataDirectory, 'metrics'));
  const logs = await openLogFolder(join(options.dataDirectory, 'sandbox-logs'), seal, (err) => {
    logger.debug({ err }, 'the log of a sandbox could not be written');
  });
  const checkpoints = keepAllWhileUnreadable(host.checkpoints, [host.store, snapshots], logger);
  const router = createRouter(table, activity, async (sandboxId) => await resumeForTraffic(context, sandboxId));
  const end: RunnerContext['end'] = async (sandboxId, cause) => {
    context.metrics.sampleLast(sandboxId);
    const isEnded = await endSandbox(context, sandboxId, cause);
    context.metrics.remove(sandboxId);
    customMetrics.remove(sandboxId);
    consumption.end(sandboxId);
    activity.forget(sandboxId);
    await context.logBook.remove(sandboxId);
    return isEnded;
  };
  const customMetrics = createCustomMetrics({ table, activity, clock, logger });
  const context: OperationContext = {
    host,
    table,
    snapshots,
    references: createReferences(checkpoints, table, snapshots, logger, clock, () => cache.holding()),
    templates: options.templates,
    admission: createAdmission(options.config, () => table.tenants()),
    events: createEvents(),
    metrics: createSandboxMetrics({
      ...{ network, clock, logger, consumption, folder },
      observe: activity.observe.bind(activity),
    }),
    holds: createHolds(),
    activity,
    logBook: createLogBook(table, logs, clock),
    clock,
    background: createBackground(stopping, logger),
    cutOff: router.cutOff.bind(router),
    abandon: async (sandboxId) => {
      await end(sandboxId, 'unconfirmed');
    },
  };
  const builds = createBuilds({ ...options, disks: context.host.disks, cache, clock, stopping });
  return { context: { ...context, builds }, router, consumption, customMetrics, folder, logs, end };
}

async function createSandboxHost(
  options: RunnerOptions,
  clock: Clock,
  stopping: AbortSignal,
  standing: DiskBudgetOptions['standingOf'],
): Promise<SandboxHost> {
  const directory = join(options.dataDirectory, 'sandboxes');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  getDriver(options, options.config.isolation);
  const { config: policy, logger } = options;
  const store = createRecordStore(directory, options.reserve, createRecordSeal(options.keyring));
  const disks = createDiskBudget({
    policy,
    directory,
    standingOf: standing,
    readDirtied,
    clock,
    logger,
  });
  const { volumes = noVolumes } = options;
  const stored = await openStored(options, clock, disks, stopping);
  const checkpoints =
    options.storedSource === undefined ? options.checkpoints : fetchingCheckpoints(options.checkpoints, stored);
  const memory = createMemoryRoom({ stopping, makeRoom: () => checkpoints.dropClear() });
  return { ...options, volumes, slots: createSlots(), store, disks, memory, stored, checkpoints };
}

/** Loads nothing on a host that has no object store. */
async function openStored(
  options: RunnerOptions,
  clock: Clock,
  disks: DiskBudget,
  signal: AbortSignal,
): Promise<StoredCopies> {
  const { storedSource: source, dataDirectory, checkpoints, templates, envdBundle, logger } = options;
  if (source === undefined) return noStoredCopies;
  const { openStoredCopies } = await import('./stored/open-stored-copies.ts');
  const runtimes = dirname(envdBundle.directory);
  const parts = { checkpoints, templates, runtimes, disks, clock, logger, signal };
  return await openStoredCopies({ source, dataDirectory, ...parts });
}

function createRunnerPool(
  { config, logger, reserve }: RunnerOptions,
  context: OperationContext,
  end: RunnerContext['end'],
): Pool {
  return createPool({
    size: config.poolSize,
    maxByUse: config.poolSize * sparesByUse,
    memoryLimitBytes: config.poolMemoryMb * 2 ** 20,
    bootConcurrency: config.bootConcurrency,
    idleMs: config.poolIdleSeconds * 1000,
    clock: context.clock,
    ...createSpareMaker(context, reserve),
    discard: async ({ record }) => {
      await end(record.sandboxId, 'killed');
    },
    logger,
  });
}

/** A deleted snapshot must not survive as a spare with its memory and disk. */
function isGone({ snapshots }: OperationContext, blueprint: Blueprint): boolean {
  return blueprint.kind === 'snapshot' && !snapshots.has(blueprint.snapshotId);
}

async function keepDefaultTemplate({ templates, defaultTemplate, config }: RunnerOptions, pool: Pool): Promise<void> {
  const template = await templates.find(defaultTemplate);
  if (template === undefined) return;
  pool.pin({ kind: 'template', template, isolation: isolationOf(config, template) });
}
