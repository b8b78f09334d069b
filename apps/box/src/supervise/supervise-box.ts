import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProcess, SoulBoxError } from '@soulbox/base';
import type { ProcessIdentity, RootLogger } from '@soulbox/base';
import type { Certificate, GatewaySettings } from '@soulbox/gateway';
import { bindTcp, createDescriptorPair, userOf } from '@soulbox/process';
import { claimServer } from '../claim.ts';
import { clientEnvironments } from '../client-environments.ts';
import type { BoxConfig } from '../config.ts';
import { readDefaultApiKey } from '../credentials.ts';
import type { ServerSettings } from '../server/run-server.ts';
import { writeServerFile } from '../server-file.ts';
import type { ServerFile } from '../server-file.ts';
import type { Box } from '../start.ts';
import { keepTrust } from '../trust.ts';
import { followCertificate, readCertificate } from './certificates.ts';
import { makeGatewayFolder } from './gateway-folder.ts';
import { loadPart } from './keep-part.ts';
import type { KeptPart } from './keep-part.ts';
import { firstDescriptor } from './part-process.ts';

const gatewayMain = fileURLToPath(import.meta.resolve('@soulbox/gateway/main'));
const serverMain = fileURLToPath(new URL('../server/main.ts', import.meta.url));

/** Beyond what the gateway gives open requests. */
const gatewayStopMs = 10_000;
/** The parts of the server have bounds of their own; this is for one that does not stop at all. */
const serverStopMs = 110_000;
const droppedLinesMs = 5000;

/**
 * Starts a whole server, each part as a process of its own, and starts again what ends by itself. The gateway is a user of its own in a
 * folder of its own (docs/decisions/032-three-processes.md). The host must be prepared (`soulbox setup`). On an error everything that was
 * started is stopped again.
 */
export async function superviseBox(options: {
  config: BoxConfig;
  logger: RootLogger;
  /** What programs are started with, besides the settings. */
  environment: Readonly<Record<string, string>>;
}): Promise<Box> {
  const { config, logger, environment } = options;
  const { instance } = config.runner;
  await using started = new AsyncDisposableStack();
  started.use(await claimServer(config));
  const failure = Promise.withResolvers<Error>();

  const ports = await bindPorts(config);
  started.defer(() => ports.forEach(closeSync));
  const pair = createDescriptorPair();
  started.defer(() => pair.forEach(closeSync));
  const gatewayId = userOf(instance, 'gateway');
  const folder = await makeGatewayFolder(instance, gatewayId);

  const file = createServerFileKeeper(config);
  const common = { logger, onGivenUp: (error: Error) => failure.resolve(error) };
  const serverLoading = loadPart({
    ...common,
    plan: { name: 'server', program: serverMain, descriptors: [pair[0]], environment },
    settings: (): ServerSettings & { logLevel: string } => ({
      logLevel: config.logLevel,
      config,
      descriptors: { channel: firstDescriptor },
      gatewayId,
      sockets: folder.sockets,
    }),
    onProcess: async (pid) => await file.noteProcess('server', pid),
  });
  started.defer(() => serverLoading.kill());
  let certificate: Certificate | undefined;
  const gatewayLoading = loadPart({
    ...common,
    plan: {
      name: 'gateway',
      program: gatewayMain,
      // All its sockets are handed to it: it needs no network of its own.
      isApart: true,
      descriptors: [pair[1], ...ports],
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
      },
      sockets: folder.innerSockets,
      ...(certificate === undefined ? {} : { certificate }),
    }),
    onProcess: async (pid) => await file.noteProcess('gateway', pid),
  });
  started.defer(() => gatewayLoading.kill());

  const [first, server] = await Promise.all([readCertificate(config.gateway), serverLoading.start()]);
  certificate = first;
  const gateway = await gatewayLoading.start();
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
  if (apiKey === undefined) throw new SoulBoxError('internal', 'The server has made no API key.');
  const environments = clientEnvironments(config, bound, { apiKey, trust });
  await file.write({ ...bound, state: 'ready', client: environments.client });
  started.use(reportDroppedLines(server, logger));
  logger.info({ ...bound, pids: { server: server.pid(), gateway: gateway.pid() } }, 'server ready');

  const parts = started.move();
  const close = async ({ keepSandboxes }: { keepSandboxes: boolean }): Promise<void> => {
    if (!keepSandboxes) {
      await server.tell('endSandboxes').catch((err: unknown) => {
        logger.error({ err }, 'sandboxes could not be ended in order');
      });
    }
    await gateway.stop({ keepSandboxes, timeoutMs: config.gateway.shutdownGraceMs + gatewayStopMs });
    await server.stop({ keepSandboxes, timeoutMs: serverStopMs });
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

/** The plain one, and that for TLS if there is one. */
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

interface ServerFileKeeper {
  /** Resolves when the file names it. */
  noteProcess(part: string, pid: number): Promise<void>;
  write(facts: Pick<ServerFile, 'port' | 'tlsPort' | 'state' | 'client'>): Promise<void>;
}

/** Whoever finds the server's file finds all its processes there: of a server that was killed the next one waits for them. */
function createServerFileKeeper({ dataDirectory, gateway, runner }: BoxConfig): ServerFileKeeper {
  const place = { instance: runner.instance, host: gateway.host };
  const { port, tlsPort } = gateway;
  const processes = new Map<string, ProcessIdentity>();
  let facts: Pick<ServerFile, 'port' | 'tlsPort' | 'state' | 'client'> = {
    port,
    tlsPort,
    state: 'starting',
    client: {},
  };
  let writing = Promise.resolve();
  const write = async (): Promise<void> => {
    writing = writing.then(async () => {
      await writeServerFile(dataDirectory, { ...place, ...facts, children: [...processes.values()] });
    });
    await writing;
  };
  return {
    async noteProcess(part, pid) {
      const identity = findProcess(pid);
      if (identity !== undefined) processes.set(part, identity);
      await write();
    },
    async write(next) {
      facts = next;
      await write();
    },
  };
}

/** The API shows how many lines the log has lost; this process owns the file. */
function reportDroppedLines(server: KeptPart, logger: RootLogger): Disposable {
  let told = 0;
  const timer = setInterval(() => {
    const count = logger.droppedLines();
    if (count === told) return;
    server.tell('droppedLines', count).then(
      () => (told = count),
      () => undefined,
    );
  }, droppedLinesMs);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
