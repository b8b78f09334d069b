import { chmod, chown, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { startApi } from '@soulbox/api';
import type { RootLogger, Secret } from '@soulbox/base';
import { RunnerService } from '@soulbox/contract/runner';
import type { FunctionRouter } from '@soulbox/contract/function-service';
import { bundleEdgeWorker } from '@soulbox/edge-worker/build';
import { buildEnvdBundle, removeOldBundles } from '@soulbox/envd/build';
import { openVault, startFunctions } from '@soulbox/functions';
import { removeInstanceTraces } from '@soulbox/isolation';
import { openCheckpointStore } from '@soulbox/checkpoints';
import { openNetwork } from '@soulbox/network';
import { createOutsidePolicy } from '@soulbox/network/outside';
import type { RouteSource } from '@soulbox/routing';
import { startRunner } from '@soulbox/runner';
import { holdableBlobs, openDiskBlobs, openDiskReserve, openSqliteRecords } from '@soulbox/storage';
import { openTemplateStore } from '@soulbox/templates';
import { createStage } from '../backup/stage.ts';
import type { BoxConfig } from '../config.ts';
import { ensureDefaultApiKey, ensureMetricsToken } from '../credentials.ts';
import { createDrivers } from '../drivers.ts';
import { keepReserve } from '../keep-reserve.ts';
import { recipes } from '../recipes.ts';

/** The template a create gets when the client names none, kept warm from the start. */
export const defaultTemplate = 'base';

/** All of a server but the gateway: runner, functions, API. */
export interface Server {
  readonly router: RouteSource;
  readonly functions: FunctionRouter;
  readonly apiSocket: string;
  readonly apiKey: Secret;
  /** Warm sandboxes that are ready. */
  readyCount(): number;
  /** Ends every sandbox that runs; the parts go on. */
  endSandboxes(): Promise<void>;
  /** From here on nothing that goes wrong may take back what the start has made. */
  keep(): void;
  /** `keepSandboxes`: they go on, for the next server to adopt. Otherwise nothing of the instance is left, and they must have ended. */
  close(options: { keepSandboxes: boolean }): Promise<void>;
}

/**
 * Starts it in this process. The data folder and the instance must be claimed. On an error everything that was started is stopped
 * again. `apiSocket` is made; by default `run/api.sock` of the data folder.
 */
export async function startServer(options: {
  config: BoxConfig;
  logger: RootLogger;
  droppedLogLines?: () => number;
  apiSocket?: ApiSocket;
}): Promise<Server> {
  const { config, logger, droppedLogLines = () => logger.droppedLines() } = options;
  const { dataDirectory } = config;
  await using started = new AsyncDisposableStack();
  let ready = false;
  /** What is to be removed while the claim still keeps others away. */
  let removeLast = async (): Promise<void> => await Promise.resolve();
  started.defer(async () => await removeLast());
  const reserve = openDiskReserve(join(dataDirectory, 'reserve'));

  const records = openSqliteRecords(join(dataDirectory, 'records.sqlite'), { reserve });
  started.use(records);
  const apiKey = await ensureDefaultApiKey(dataDirectory, records);

  const runtimes = join(dataDirectory, 'runtime');
  const runtime = await buildEnvdBundle(runtimes);
  const templates = openTemplateStore(config.templatesDirectory, logger);
  const network = await openNetwork({
    instance: config.runner.instance,
    nameServers: config.runner.nameServers,
    denied: config.deniedRanges,
    ...(config.networkCidr === '' ? {} : { base: config.networkCidr }),
    logger,
  });
  const outside = createOutsidePolicy(config.deniedRanges);
  let adopted = 0;
  started.defer(async () => {
    if (!ready && adopted === 0) await network.close();
  });
  const blobs = started.use(await openDiskBlobs({ directory: join(dataDirectory, 'archive') }));
  const files = started.use(holdableBlobs(await openDiskBlobs({ directory: join(dataDirectory, 'uploads') })));
  const functionBlobs = started.use(
    holdableBlobs(await openDiskBlobs({ directory: join(dataDirectory, 'functions') })),
  );
  const dependencyBlobs = started.use(await openDiskBlobs({ directory: join(dataDirectory, 'dependencies') }));
  const states = started.use(await openCheckpointStore({ directory: dataDirectory, logger, blobs }));
  const runner = started.use(
    await startRunner({
      config: config.runner,
      dataDirectory,
      drivers: await createDrivers(config.runner.instance, logger),
      network,
      states,
      templates,
      dependencyBlobs,
      recipes,
      runtime,
      files,
      reserve,
      outside,
      droppedLogLines,
      defaultTemplate,
      logger: logger.child({ part: 'runner' }),
    }),
  );

  adopted = runner.runningCount();
  const oldRuntimes = await removeOldBundles(runtimes, runner.runtimesInUse().add(runtime.directory));
  if (oldRuntimes > 0) logger.info({ removed: oldRuntimes }, 'old envd versions removed');
  // A start that fails from here on must not leave what it made itself; tenants' sandboxes wait for the next start.
  started.defer(async () => {
    if (!ready) await runner.endSpares();
  });

  const runnerClient = createClient(RunnerService, runner.transport);
  const functions = started.use(
    await startFunctions({
      config: config.functions,
      teamSandboxLimit: config.api.teamSandboxLimit,
      teamKvBytes: config.api.teamKvMb * 1024 * 1024,
      records,
      blobs: functionBlobs,
      runner: runnerClient,
      router: runner.router,
      supervisor: await bundleEdgeWorker(),
      vault: await openVault(join(dataDirectory, 'secrets', 'functions-key')),
      logger: logger.child({ part: 'functions' }),
    }),
  );

  const ownSocket = join(dataDirectory, 'run', 'api.sock');
  await rm(ownSocket, { force: true });
  const apiSocket = options.apiSocket?.path ?? ownSocket;
  started.use(
    await startApi({
      config: config.api,
      records,
      runner: runnerClient,
      functions: functions.service,
      files,
      reserve,
      stageBackup: createStage({ dataDirectory, runner: runnerClient, functionBlobs, uploads: files }),
      droppedLogLines,
      outside,
      metricsToken: await ensureMetricsToken(dataDirectory, config.metricsToken),
      listen: { socketPath: apiSocket },
      logger: logger.child({ part: 'api' }),
    }),
  );
  if (options.apiSocket !== undefined) await shareSocket(options.apiSocket, ownSocket);
  started.use(keepReserve(reserve, logger));
  const parts = started.move();
  return {
    router: runner.router,
    functions: functions.router,
    apiSocket,
    apiKey,
    readyCount: () => runner.readyCount(),
    endSandboxes: async () => await runner.endAll(),
    keep: () => (ready = true),
    async close({ keepSandboxes }) {
      if (!keepSandboxes) {
        removeLast = async () => {
          await network.close();
          await removeInstanceTraces(config.runner.instance);
        };
      }
      await parts.disposeAsync();
    },
  };
}

/** A socket of the API outside of the data folder, for a process that may not see that. */
export interface ApiSocket {
  readonly path: string;
  /** Who may connect besides root. */
  readonly groupId: number;
}

/** Tools of this host go on finding it in the data folder. */
async function shareSocket({ path, groupId }: ApiSocket, ownSocket: string): Promise<void> {
  await chown(path, 0, groupId);
  await chmod(path, 0o660);
  await symlink(path, ownSocket);
}
