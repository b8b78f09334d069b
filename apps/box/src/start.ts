import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '@connectrpc/connect';
import { startApi } from '@soulbox/api';
import type { RootLogger, Secret } from '@soulbox/base';
import { RunnerService } from '@soulbox/contract/runner';
import { bundleEdgeWorker } from '@soulbox/edge-worker/build';
import { buildEnvdRuntime, removeOldRuntimes } from '@soulbox/envd/build';
import { openVault, startFunctions } from '@soulbox/functions';
import { startGateway } from '@soulbox/gateway';
import type { Gateway } from '@soulbox/gateway';
import { removeInstanceTraces } from '@soulbox/isolation';
import { openCheckpointStore } from '@soulbox/checkpoints';
import { openNetwork } from '@soulbox/network';
import { createOutsidePolicy } from '@soulbox/network/outside';
import { startRunner, sweepStage } from '@soulbox/runner';
import { holdableBlobs, openDiskBlobs, openDiskReserve, openSqliteRecords } from '@soulbox/storage';
import { openTemplateStore } from '@soulbox/templates';
import { refuseHalfRestored } from './backup/restore.ts';
import { createStage } from './backup/stage.ts';
import type { BoxConfig } from './config.ts';
import { ensureDefaultApiKey, ensureMetricsToken } from './credentials.ts';
import { createDrivers } from './drivers.ts';
import { recipes } from './recipes.ts';
import { keepReserve } from './keep-reserve.ts';
import { claimInstance } from './instance-lock.ts';
import { claimDataDirectory, removeServerFile, writeServerFile } from './server-file.ts';
import { keepTrust } from './trust.ts';
import type { Trust } from './trust.ts';

/** The template a create gets when the client names none, kept warm from the start. */
export const defaultTemplate = 'base';

export interface Box extends AsyncDisposable {
  readonly port: number;
  /** 0 when TLS is off. */
  readonly tlsPort: number;
  /** Variables for the official clients over plain HTTP, the API key among them. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  /** The same for TLS; empty when TLS is off. */
  readonly tlsEnvironment: Readonly<Record<string, string>>;
  /** Warm sandboxes that are ready. */
  readyCount(): number;
  /** Stops the server. Sandboxes go on, for the next server to adopt, unless they are to end. */
  close(options: { keepSandboxes: boolean }): Promise<void>;
}

/**
 * Starts a whole server in this process: runner, API, gateway. The host must be prepared (`soulbox setup`).
 * On an error everything that was started is stopped again.
 */
export async function startBox(options: { config: BoxConfig; logger: RootLogger }): Promise<Box> {
  const { config, logger } = options;
  const { dataDirectory } = config;
  await using started = new AsyncDisposableStack();
  let ready = false;

  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  await refuseHalfRestored(dataDirectory);
  const reserve = openDiskReserve(join(dataDirectory, 'reserve'));
  reserve.makeRoom();
  await mkdir(join(dataDirectory, 'run'), { recursive: true, mode: 0o700 });
  await chmod(dataDirectory, 0o700);
  const place = { instance: config.runner.instance, host: config.gateway.host };
  await claimDataDirectory(dataDirectory, { ...place, port: config.gateway.port, tlsPort: config.gateway.tlsPort });
  started.defer(async () => {
    await removeServerFile(dataDirectory);
  });
  started.use(await claimInstance(config.runner.instance, dataDirectory));
  /** What is to be removed while the claim still keeps others away. */
  let removeLast = async (): Promise<void> => await Promise.resolve();
  started.defer(async () => await removeLast());
  await sweepStage(dataDirectory);

  const records = openSqliteRecords(join(dataDirectory, 'records.sqlite'), { reserve });
  started.use(records);
  const apiKey = await ensureDefaultApiKey(dataDirectory, records);

  const runtimes = join(dataDirectory, 'runtime');
  const runtime = await buildEnvdRuntime(runtimes);
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
      droppedLogLines: () => logger.droppedLines(),
      defaultTemplate,
      logger: logger.child({ part: 'runner' }),
    }),
  );

  adopted = runner.runningCount();
  const oldRuntimes = await removeOldRuntimes(runtimes, runner.runtimesInUse().add(runtime.directory));
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

  const apiSocket = join(dataDirectory, 'run', 'api.sock');
  await rm(apiSocket, { force: true });
  started.use(
    await startApi({
      config: config.api,
      records,
      runner: runnerClient,
      functions: functions.service,
      files,
      reserve,
      stageBackup: createStage({ dataDirectory, runner: runnerClient, functionBlobs, uploads: files }),
      droppedLogLines: () => logger.droppedLines(),
      outside,
      metricsToken: await ensureMetricsToken(dataDirectory, config.metricsToken),
      listen: { socketPath: apiSocket },
      logger: logger.child({ part: 'api' }),
    }),
  );
  const gateway = started.use(
    await startGateway({
      config: config.gateway,
      router: runner.router,
      functions: functions.router,
      api: { socketPath: apiSocket },
      logger: logger.child({ part: 'gateway' }),
    }),
  );

  const trust =
    gateway.caFile === undefined
      ? undefined
      : started.use(await keepTrust(config.runner.instance, gateway.caFile, logger));
  const { clientEnvironment, tlsEnvironment } = environments(config, gateway, { apiKey, trust });
  const { E2B_API_KEY: _, ...client } = { ...clientEnvironment, ...tlsEnvironment };
  const ports = { port: gateway.port, tlsPort: gateway.tlsPort ?? 0 };
  await writeServerFile(dataDirectory, { ...place, ...ports, state: 'ready', client });
  started.use(keepReserve(reserve, logger));
  ready = true;
  logger.info(ports, 'server ready');

  const parts = started.move();
  const close = async ({ keepSandboxes }: { keepSandboxes: boolean }): Promise<void> => {
    if (!keepSandboxes) {
      await runner.endAll();
      removeLast = async () => {
        await network.close();
        await removeInstanceTraces(config.runner.instance);
      };
    }
    await parts.disposeAsync();
  };
  return {
    ...ports,
    clientEnvironment,
    tlsEnvironment,
    readyCount: () => runner.readyCount(),
    close,
    async [Symbol.asyncDispose]() {
      await close({ keepSandboxes: false });
    },
  };
}

/** Node.js adds authorities to its own. Python's httpx and requests each read a variable, for a file in place of their own. */
function trustVariables({ caFile, bundleFile }: Trust): Record<string, string> {
  return { NODE_EXTRA_CA_CERTS: caFile, SSL_CERT_FILE: bundleFile, REQUESTS_CA_BUNDLE: bundleFile };
}

function environments(
  config: BoxConfig,
  gateway: Gateway,
  { apiKey, trust }: { readonly apiKey: Secret; readonly trust: Trust | undefined },
): Pick<Box, 'clientEnvironment' | 'tlsEnvironment'> {
  const host = config.gateway.host === '0.0.0.0' ? '127.0.0.1' : config.gateway.host;
  const url = `http://${host}:${gateway.port}`;
  const clientEnvironment = { E2B_API_URL: url, E2B_SANDBOX_URL: url, E2B_API_KEY: apiKey.reveal() };
  if (gateway.tlsPort === undefined) return { clientEnvironment, tlsEnvironment: {} };
  const tlsEnvironment = {
    E2B_DOMAIN: `${config.gateway.domain}:${gateway.tlsPort}`,
    E2B_API_KEY: apiKey.reveal(),
    ...(trust === undefined ? {} : trustVariables(trust)),
  };
  return { clientEnvironment, tlsEnvironment };
}
