import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createRouterTransport } from '@connectrpc/connect';
import { addEgressRecords } from '@soulbox/contract/egress-record-service';
import { startHostEgress } from '@soulbox/egress';
import { addPolicyRoutes } from '@soulbox/egress-policies';
import type { Gateway } from '@soulbox/gateway';
import { startGateway } from '@soulbox/gateway';
import type { RootLogger } from '@soulbox/base';
import { readClientSecret, startControl } from '@soulbox/control';
import { bundleEdgeWorker } from '@soulbox/edge-worker/build';
import { startVolumeService } from '@soulbox/volume-service';
import { openMasterKeySources } from '@soulbox/keyring';
import { startRunnerHost } from '@soulbox/runner/process';
import { startTracing } from '@soulbox/tracing';
import { claimServer } from './claim.ts';
import type { BoxConfig } from './config.ts';
import { controlDirectoryIn, volumesDirectoryIn } from './data-folder.ts';
import { clientEnvironments } from './client-environments.ts';
import { controlSettings, egressSettings, runnerSettings, traceSettings } from './settings.ts';
import { writeServerFile } from './server-file.ts';
import { keepTrust } from './trust.ts';

export interface Box extends AsyncDisposable {
  readonly port: number;
  /** 0 when TLS is off. */
  readonly tlsPort: number;
  /** Variables for the official clients over plain HTTP, including the API key. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  /** The same for TLS; empty when TLS is off. */
  readonly tlsEnvironment: Readonly<Record<string, string>>;
  /** Resolves when the server cannot continue by itself; it must then be closed. */
  readonly failed: Promise<Error>;
  /** Stops the server. With `keepSandboxes` the sandboxes continue, and the next server adopts them. */
  close(options: { keepSandboxes: boolean }): Promise<void>;
}

/**
 * Starts a whole server in this process: runner, API, gateway. `superviseBox` starts each as a process of its own. The
 * host must be prepared (`soulbox setup`). After an error everything that was started is stopped again.
 */
export async function startBox(options: { config: BoxConfig; logger: RootLogger }): Promise<Box> {
  const { config, logger } = options;
  await using started = new AsyncDisposableStack();
  started.use(await claimServer(config));
  started.use(await startTracing(traceSettings(config), { service: 'soulbox', logger }));
  const host = await startRunnerHost(runnerSettings(config), logger);
  const { runner } = host;
  let keepSandboxes = true;
  let isReady = false;
  started.defer(async () => {
    if (!isReady) await host.takeBack();
    await host.close({ keepSandboxes });
  });
  const { transport, router } = runner;
  const apiSocket = join(config.dataDirectory, 'run', 'api.sock');
  // A killed server of several processes has left a link there.
  await rm(apiSocket, { force: true });
  const volumesSocket = join(config.dataDirectory, 'run', 'volumes.sock');
  await rm(volumesSocket, { force: true });
  started.use(
    await startVolumeService({
      directory: volumesDirectoryIn(config.dataDirectory),
      place: { path: volumesSocket },
      logger: logger.child({ part: 'volumes' }),
    }),
  );
  const settings = controlSettings(config, {
    directory: controlDirectoryIn(config.dataDirectory),
    volumesSocket,
    apiSocket,
    edgeWorker: await bundleEdgeWorker(),
  });
  const masterKeys = await openMasterKeySources(settings.masterKeys);
  const oidcClientSecret = await readClientSecret(settings.api.oidcClientSecretFile);
  const control = started.use(
    await startControl({ settings, masterKeys, oidcClientSecret, runner: transport, router, logger }),
  );
  const egressLogger = logger.child({ part: 'egress' });
  started.use(
    await startHostEgress(egressSettings(config), {
      runner: createRouterTransport((routes) => addPolicyRoutes(routes, host.policies)),
      control: createRouterTransport((routes) => addEgressRecords(routes, control.egress, egressLogger)),
      logger: egressLogger,
    }),
  );
  const gateway: Gateway = started.use(
    await startGateway({
      config: config.gateway,
      router,
      functions: control.functions,
      signedUrls: control.signedUrls,
      sandboxUses: control.sandboxUses,
      api: { socketPath: apiSocket },
      logger: logger.child({ part: 'gateway' }),
    }),
  );
  const { caFile } = gateway;
  const trust = caFile === undefined ? undefined : started.use(await keepTrust(config.runner.instance, caFile, logger));
  const ports = { port: gateway.port, tlsPort: gateway.tlsPort ?? 0 };
  const environments = clientEnvironments(config, ports, { apiKey: control.apiKey, trust });
  await writeServerFile(config.dataDirectory, {
    instance: config.runner.instance,
    host: config.gateway.host,
    ...ports,
    state: 'ready',
    client: environments.client,
    children: [],
    givenUp: [],
  });
  isReady = true;
  logger.info(ports, 'server ready');

  const parts = started.move();
  const close = async (how: { keepSandboxes: boolean }): Promise<void> => {
    ({ keepSandboxes } = how);
    if (!keepSandboxes) await runner.endAll();
    await parts.disposeAsync();
  };
  return {
    ...ports,
    ...environments,
    failed: new Promise(() => undefined),
    close,
    async [Symbol.asyncDispose]() {
      await close({ keepSandboxes: false });
    },
  };
}
