import { closeSync } from 'node:fs';
import { rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SoulBoxError } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import type { ControlProcessSettings } from '@soulbox/control';
import type { Certificate, GatewaySettings } from '@soulbox/gateway';
import type { EgressProcessSettings } from '@soulbox/egress';
import type { VolumeProcessSettings } from '@soulbox/volume-service';
import { bundleEdgeWorker } from '@soulbox/edge-worker/build';
import type { ObjectProcessSettings } from '@soulbox/object-process';
import { bindTcp, bindUnix, createDescriptorPair, userOf } from '@soulbox/process';
import type { RunnerProcessSettings } from '@soulbox/runner/process';
import { controlDirectoryIn, volumesDirectoryIn } from '../data-folder.ts';
import { claimServer } from '../claim.ts';
import { clientEnvironments } from '../client-environments.ts';
import type { BoxConfig } from '../config.ts';
import { readDefaultApiKey } from '../credentials.ts';
import type { Box } from '../start.ts';
import { keepTrust } from '../trust.ts';
import { followCertificate, readCertificate } from './certificates.ts';
import { controlSettings, egressSettings, runnerSettings } from '../settings.ts';
import { makeControlFolder, makeEgressFolder, makeGatewayFolder, makeServiceFolder } from './part-folders.ts';
import { prepareBuckets } from './buckets-part.ts';
import { createServerFileWriter } from './server-file-writer.ts';
import { prepareSsh } from './ssh-part.ts';
import { startWhenWanted } from './start-when-wanted.ts';
import { loadPart } from './keep-part.ts';
import { reportToControl } from './report-to-control.ts';
import { createChildLauncher } from './launch-child.ts';
import { firstDescriptor } from './launch.ts';
import { openUnitLauncher } from './unit-launcher.ts';

const gatewayMain = fileURLToPath(import.meta.resolve('@soulbox/gateway/main'));
const egressMain = fileURLToPath(import.meta.resolve('@soulbox/egress/main'));
const volumesMain = fileURLToPath(import.meta.resolve('@soulbox/volume-service/main'));
const objectsMain = fileURLToPath(import.meta.resolve('@soulbox/object-process/main'));
const controlMain = fileURLToPath(new URL('../../../control/src/main.ts', import.meta.url));
const runnerMain = fileURLToPath(new URL('../../../runner/src/process/main.ts', import.meta.url));

/** Added to the time that the gateway gives open requests. */
const gatewayStopMs = 10_000;
/** These parts limit their own stops. The values here are for a part that does not stop at all. */
const controlStopMs = 20_000;
const egressStopMs = 10_000;
const sshStopMs = 10_000;
const volumesStopMs = 20_000;
/** Calls of its mounts may wait for stores. */
const bucketsStopMs = 20_000;
const objectsStopMs = 10_000;
const runnerStopMs = 90_000;

/**
 * Starts a whole server, each part as a process of its own, and restarts parts that end by themselves. The gateway has
 * its own user and its own folder (docs/decisions/032-three-processes.md). The host must be prepared (`soulbox setup`).
 * After an error everything that was started is stopped again.
 */
export async function superviseBox(options: {
  config: BoxConfig;
  logger: RootLogger;
  /** Environment of the programs, in addition to the settings. */
  environment: Readonly<Record<string, string>>;
  /** Whether each part is a systemd unit instead of a child process. */
  units: boolean;
}): Promise<Box> {
  const { config, logger, environment, units } = options;
  const { instance } = config.runner;
  await using started = new AsyncDisposableStack();
  started.use(await claimServer(config));
  const failure = Promise.withResolvers<Error>();

  const ports = await bindPorts(config);
  started.defer(() => ports.forEach(closeSync));
  const pairs = {
    gateway: createDescriptorPair(),
    control: createDescriptorPair(),
    volumes: createDescriptorPair(),
    buckets: createDescriptorPair(),
  };
  started.defer(() => Object.values(pairs).flat().forEach(closeSync));
  const gatewayId = userOf(instance, 'gateway');
  const controlId = userOf(instance, 'control');
  const folder = await makeGatewayFolder(instance, { gateway: gatewayId, control: controlId });
  const controlData = await makeControlFolder(instance, controlId);
  const egressId = userOf(instance, 'egress');
  const egressFolder = await makeEgressFolder(instance, { egress: egressId, control: controlId });

  const volumesId = userOf(instance, 'volumes');
  const volumesFolder = await makeServiceFolder(instance, 'volumes', volumesId);
  const volumesSocket = bindUnix(volumesFolder.socket, volumesId);
  started.defer(() => closeSync(volumesSocket));

  const ssh = config.ssh.port === 0 ? undefined : started.use(await prepareSsh(config, controlId));

  const storage =
    config.storage.url === ''
      ? undefined
      : await (await import('./open-storage.ts')).openStorage(config, volumesFolder, started);

  const file = createServerFileWriter(config, logger);
  const launch = units ? started.use(await openUnitLauncher(logger)).launch : createChildLauncher(logger);
  // The other parts do not reach the store.
  const inherited = storage === undefined ? environment : storage.withoutCredentials(environment);
  const common = { logger, launch, onGivenUp: (error: Error) => failure.resolve(error) };
  // Most servers have no volumes, and a process takes memory and time.
  const volumes = startWhenWanted(
    'volumes',
    () =>
      loadPart({
        ...common,
        hasStandby: !units,
        onGivenUp: (err) => file.noteGivenUp('volumes', err),
        plan: {
          name: 'volumes',
          logNames: ['volumes'],
          program: volumesMain,
          // It inherits its socket, and sees its data only, and the socket of the object store.
          namespaces: ['--mount', '--net', '--ipc'],
          descriptors: [volumesSocket, pairs.volumes[1]],
          environment: pathOf(environment),
        },
        settings: (): VolumeProcessSettings & { logLevel: string } => ({
          logLevel: config.logLevel,
          cell:
            storage === undefined
              ? { id: volumesId, root: volumesFolder.data }
              : {
                  ...{ id: volumesId, root: storage.forVolumes.root, groups: storage.forVolumes.groups },
                  opensConnections: true,
                },
          ...(storage === undefined ? {} : { storage: storage.forVolumes.storage }),
          dataMount: { from: volumesDirectoryIn(config.dataDirectory), to: volumesFolder.data },
          descriptor: firstDescriptor,
          channel: firstDescriptor + 1,
        }),
        onProcess: async (pid) => await file.noteProcess('volumes', pid),
      }),
    logger,
  );
  const buckets = started.use(
    await prepareBuckets({
      ...common,
      hasStandby: !units,
      ...{ config, control: controlId, channel: pairs.buckets[1], environment: pathOf(environment) },
      onGivenUp: (err) => file.noteGivenUp('buckets', err),
      onProcess: async (pid) => await file.noteProcess('buckets', pid),
    }),
  );
  const wanted = { volumes, buckets: buckets.part };
  const runnerLoading = loadPart({
    ...common,
    plan: {
      name: 'runner',
      program: runnerMain,
      descriptors: [pairs.gateway[0], pairs.control[0], pairs.volumes[0], pairs.buckets[0]],
      environment: inherited,
    },
    settings: (): RunnerProcessSettings & { logLevel: string } => ({
      logLevel: config.logLevel,
      ...runnerSettings(config),
      egressUserId: egressId,
      egress: { id: egressId, socket: egressFolder.sockets.runner },
      socket: folder.sockets.runner,
      callers: {
        gateway: { id: gatewayId, channel: firstDescriptor },
        control: { id: controlId, channel: firstDescriptor + 1 },
      },
      volumes: { socket: volumesFolder.socket, channel: firstDescriptor + 2 },
      buckets: { socket: buckets.folder.socket, channel: firstDescriptor + 3 },
      ...(storage === undefined ? {} : { storage: storage.forRunner }),
    }),
    onProcess: async (pid) => await file.noteProcess('runner', pid),
    onWant: (part) => wanted[part].want(),
  });
  started.defer(() => runnerLoading.kill());
  const apiLink = join(config.dataDirectory, 'run', 'api.sock');
  await rm(apiLink, { force: true });
  // Commands of this host find the API there.
  await symlink(folder.sockets.api, apiLink);
  const edgeWorker = await bundleEdgeWorker();
  const controlLoading = loadPart({
    ...common,
    plan: {
      name: 'control',
      logNames: ['control', 'api', 'functions'],
      program: controlMain,
      namespaces: ['--mount'],
      descriptors: [pairs.control[1]],
      environment: inherited,
    },
    settings: (): ControlProcessSettings & { logLevel: string } => ({
      logLevel: config.logLevel,
      ...controlSettings(config, {
        ...{ directory: controlData, apiSocket: folder.sockets.api, edgeWorker, volumesSocket: volumesFolder.socket },
        bucketsSocket: buckets.folder.socket,
        ...(ssh === undefined ? {} : { ssh: { port: config.ssh.port, hostKey: ssh.hostKey } }),
        ...(storage === undefined ? {} : { storage: storage.forControl }),
      }),
      ...(ssh === undefined ? {} : { sshDoor: { id: ssh.id, socket: ssh.folder.sockets.control } }),
      cell: {
        id: controlId,
        groups: [
          ...[gatewayId, egressId, volumesId, buckets.id],
          ...(ssh === undefined ? [] : [ssh.id]),
          ...(storage === undefined ? [] : [storage.id]),
        ],
        opensConnections: true,
      },
      dataMount: { from: controlDirectoryIn(config.dataDirectory), to: controlData },
      runner: { socket: folder.sockets.runner, channel: firstDescriptor },
      gateway: { id: gatewayId, socket: folder.sockets.control },
      egress: { id: egressId, socket: egressFolder.sockets.control },
      buckets: { id: buckets.id, socket: buckets.folder.controlSocket },
    }),
    onProcess: async (pid) => await file.noteProcess('control', pid),
    onWant: (part) => wanted[part].want(),
  });
  started.defer(() => controlLoading.kill());
  const egressLoading = loadPart({
    ...common,
    plan: {
      name: 'egress',
      program: egressMain,
      namespaces: ['--ipc'],
      descriptors: [],
      environment: pathOf(environment),
    },
    settings: (): EgressProcessSettings & { logLevel: string } => ({
      logLevel: config.logLevel,
      ...egressSettings(config),
      cell: { id: egressId, root: egressFolder.path, opensConnections: true },
      sockets: egressFolder.innerSockets,
    }),
    onProcess: async (pid) => await file.noteProcess('egress', pid),
  });
  started.defer(() => egressLoading.kill());
  let certificate: Certificate | undefined;
  const gatewayLoading = loadPart({
    ...common,
    plan: {
      name: 'gateway',
      logNames: ['gateway'],
      program: gatewayMain,
      // It inherits all its sockets and needs no network of its own.
      namespaces: ['--net', '--ipc'],
      descriptors: [pairs.gateway[1], ...ports, ...(ssh === undefined ? [] : [ssh.gatewaySocket])],
      environment: pathOf(environment),
    },
    settings: (): GatewaySettings & { logLevel: string } => ({
      logLevel: config.logLevel,
      config: config.gateway,
      cell: { id: gatewayId, root: folder.path },
      descriptors: {
        channel: firstDescriptor,
        plain: firstDescriptor + 1,
        ...(ports.length > 1 ? { tls: firstDescriptor + 2 } : {}),
        ...(ssh === undefined ? {} : { ssh: firstDescriptor + 1 + ports.length }),
      },
      sockets: folder.innerSockets,
      ...(certificate === undefined ? {} : { certificate }),
    }),
    onProcess: async (pid) => await file.noteProcess('gateway', pid),
  });
  started.defer(() => gatewayLoading.kill());

  const sshLoading = ssh?.load({
    ...common,
    environment: pathOf(environment),
    logLevel: config.logLevel,
    maxConnections: config.ssh.maxConnections,
    onGivenUp: (err) => file.noteGivenUp('ssh', err),
    onProcess: async (pid) => await file.noteProcess('ssh', pid),
  });
  started.defer(() => sshLoading?.kill());

  const objectsLoading =
    storage === undefined
      ? undefined
      : loadPart({
          ...common,
          // The server does without it: everything is on its own disk.
          onGivenUp: (err) => file.noteGivenUp('objects', err),
          plan: {
            name: 'objects',
            logNames: ['objects'],
            program: objectsMain,
            namespaces: ['--mount', '--ipc'],
            descriptors: [storage.socket],
            environment: { ...pathOf(environment), ...storage.environmentOf(environment) },
          },
          settings: (): ObjectProcessSettings & { logLevel: string } => ({
            logLevel: config.logLevel,
            ...storage.forProcess,
            descriptor: firstDescriptor,
          }),
          onProcess: async (pid) => await file.noteProcess('objects', pid),
        });
  started.defer(() => objectsLoading?.kill());

  const reading = readCertificate(config.gateway);
  // It is awaited when the runner can be told to take back what it has made.
  reading.catch(() => undefined);
  const runner = await runnerLoading.start();
  const state = { isReady: false };
  started.defer(async () => {
    // A failed start removes what it has created itself; sandboxes of tenants wait for the next start.
    if (state.isReady) return;
    await runner.tell('takeBack').catch(() => undefined);
    // The runner takes the key of encrypted folders from the kernel, so nobody may use these any more.
    await volumes.stop({ keepSandboxes: true, timeoutMs: volumesStopMs });
    await buckets.part.stop({ keepSandboxes: true, timeoutMs: bucketsStopMs });
    await runner.stop({ keepSandboxes: true, timeoutMs: runnerStopMs });
  });
  const first = await reading;
  certificate = first;
  const [control, egress] = await Promise.all([controlLoading.start(), egressLoading.start()]);
  const gateway = await gatewayLoading.start();
  const sshPart = await sshLoading?.start();
  const objects = await objectsLoading?.start();
  const bound = { port: Number(gateway.facts['port']), tlsPort: Number(gateway.facts['tlsPort'] ?? 0) };

  const caFile = certificate?.caFile;
  const trust = caFile === undefined ? undefined : started.use(await keepTrust(instance, caFile, logger));
  if (first !== undefined) {
    const use = async (next: Certificate): Promise<void> => {
      certificate = next;
      await gateway.tell('certificate', next);
    };
    started.use(followCertificate({ config: config.gateway, first, use, logger }));
  }
  const apiKey = await readDefaultApiKey(config.dataDirectory);
  if (apiKey === undefined) throw new SoulBoxError('internal', 'The server has not created an API key.');
  const environments = clientEnvironments(config, bound, { apiKey, trust });
  await file.write({ ...bound, state: 'ready', client: environments.client });
  started.use(
    reportToControl(
      {
        ...{ runner, control, gateway, egress },
        ...(sshPart === undefined ? {} : { ssh: sshPart }),
        ...(objects === undefined ? {} : { objects }),
      },
      () => ({ volumes: volumes.current(), buckets: buckets.part.current() }),
      logger,
    ),
  );
  state.isReady = true;
  // What it had not uploaded when it ended, and its place in the store.
  if (storage !== undefined) volumes.want();
  logger.info(
    {
      ...bound,
      pids: { runner: runner.pid(), control: control.pid(), gateway: gateway.pid(), egress: egress.pid() },
    },
    'server ready',
  );

  const parts = started.move();
  const close = async ({ keepSandboxes }: { keepSandboxes: boolean }): Promise<void> => {
    if (!keepSandboxes) {
      await runner.tell('endSandboxes').catch((err: unknown) => {
        logger.error({ err }, 'sandboxes could not be ended cleanly');
      });
    }
    await sshPart?.stop({ keepSandboxes, timeoutMs: sshStopMs });
    await gateway.stop({ keepSandboxes, timeoutMs: config.gateway.shutdownGraceMs + gatewayStopMs });
    await control.stop({ keepSandboxes, timeoutMs: controlStopMs });
    // Before the runner, which takes the key of their encrypted folders from the kernel.
    await volumes.stop({ keepSandboxes, timeoutMs: volumesStopMs });
    await buckets.part.stop({ keepSandboxes, timeoutMs: bucketsStopMs });
    await egress.stop({ keepSandboxes, timeoutMs: egressStopMs });
    await runner.stop({ keepSandboxes, timeoutMs: runnerStopMs });
    await objects?.stop({ keepSandboxes, timeoutMs: objectsStopMs });
    await parts.disposeAsync();
  };
  return {
    ...bound,
    ...environments,
    failed: failure.promise,
    close,
    async [Symbol.asyncDispose]() {
      await close({ keepSandboxes: false });
    },
  };
}

/** The plain port, and the TLS port if there is one. */
async function bindPorts({ gateway }: BoxConfig): Promise<number[]> {
  const plain = await bindTcp(gateway.host, gateway.port);
  if (!gateway.tls) return [plain];
  try {
    return [plain, await bindTcp(gateway.host, gateway.tlsPort)];
  } catch (error) {
    closeSync(plain);
    throw error;
  }
}

function pathOf(environment: Readonly<Record<string, string>>): Record<string, string> {
  const path = environment['PATH'];
  return path === undefined ? {} : { PATH: path };
}
