import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess, isRunning } from '@soulbox/base';
import { readDefaultApiKey } from '@soulbox/box/credentials';
import { findServer } from '@soulbox/box/server-file';
import type { ServerFile } from '@soulbox/box/server-file';
import { compileCacheFolder } from '@soulbox/host/installation';

const repository = join(import.meta.dirname, '../../..');
export const nodeProgram = join(repository, 'node_modules/node/bin/node');
const cliMain = join(repository, 'apps/cli/src/main.ts');

/** The folder for the data of test servers. It is on a disk, because sandboxes need overlay mounts. */
export const testDirectory = '/var/lib/soulbox-test';
/** All test servers share their templates, because building one takes half a minute. */
export const testTemplatesDirectory = join(testDirectory, 'templates');

const readyTimeoutMs = 60_000;
const stopTimeoutMs = 60_000;

export interface ServerOptions {
  /** 0 to 14. Servers that run at the same time need different numbers. */
  readonly instance: number;
  /** Default: a new folder below /var/lib/soulbox-test. */
  readonly dataDirectory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly poolSize?: number;
  /** Default: a free one. */
  readonly port?: number;
  /** Of TLS. Default: a free one. */
  readonly tlsPort?: number;
}

/** A real server in a process of its own. */
export interface ServerProcess {
  readonly instance: number;
  readonly dataDirectory: string;
  readonly pid: number;
  readonly port: number;
  readonly tlsPort: number;
  /** The environment that the official clients need for plain HTTP. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  /** The environment that the official clients need for TLS. */
  readonly tlsEnvironment: Readonly<Record<string, string>>;
  /** Sends SIGKILL to the server. Its sandboxes continue. */
  kill9(): Promise<void>;
  /** Stops the server in the normal way. Also ends the sandboxes, unless they are to be kept. */
  stop(options?: { keepSandboxes?: boolean }): Promise<void>;
  /** Starts the server again on the same data and ports, after `kill9` or `stop`. */
  restart(): Promise<void>;
  /** The last lines of the server's log. */
  readLog(lines?: number): Promise<string>;
}

/**
 * Starts `soulbox up` and resolves when it is ready. Throws with the end of its log if it dies or takes more than 60 s.
 */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const dataDirectory = options.dataDirectory ?? (await makeTestDirectory(`data-${options.instance}-`));
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  let server = await launch(options, dataDirectory, { port: options.port ?? 0, tlsPort: options.tlsPort ?? 0 });
  const clients = await clientEnvironments(dataDirectory, server);
  return {
    instance: options.instance,
    dataDirectory,
    get pid() {
      return server.pid;
    },
    port: server.port,
    tlsPort: server.tlsPort,
    ...clients,
    kill9: async () => {
      await end(server, 'SIGKILL');
    },
    stop: async ({ keepSandboxes = false } = {}) => {
      await end(server, keepSandboxes ? 'SIGUSR2' : 'SIGTERM');
    },
    restart: async () => {
      server = await launch(options, dataDirectory, server);
    },
    readLog: async (lines = 30) => await readLog(dataDirectory, lines),
  };
}

/** Creates a folder for the caller, next to those of other tests. */
export async function makeTestDirectory(prefix: string): Promise<string> {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  return await mkdtemp(join(testDirectory, prefix));
}

async function launch(
  options: ServerOptions,
  dataDirectory: string,
  { port, tlsPort }: { port: number; tlsPort: number },
): Promise<ServerFile> {
  const log = await open(join(dataDirectory, 'server.log'), 'a', 0o600);
  const place = ['--port', String(port), '--tls-port', String(tlsPort), '--instance', String(options.instance)];
  const child = spawn(nodeProgram, [cliMain, 'up', ...place, '--data-dir', dataDirectory], {
    cwd: repository,
    env: serverEnvironment(options),
    stdio: ['ignore', log.fd, log.fd],
    // Ctrl-C in the tests' terminal must not end the server before the tests have cleaned up.
    detached: true,
  });
  await log.close();
  child.unref();
  const state: { ended?: string } = {};
  child.once('error', (error) => (state.ended = error.message));
  child.once('exit', (code, signal) => (state.ended = `exit ${String(code ?? signal)}`));

  const giveUpAt = Date.now() + readyTimeoutMs;
  while (Date.now() < giveUpAt && state.ended === undefined) {
    const server = await findServer(dataDirectory);
    if (server?.state === 'ready' && server.pid === child.pid) return server;
    await sleep(20);
  }
  const fate = state.ended ?? `not ready within ${readyTimeoutMs / 1000} s`;
  child.kill('SIGKILL');
  throw new Error(
    `The server of ${dataDirectory} did not start (${fate}). Its log ends:\n${await readLog(dataDirectory, 40)}`,
  );
}

/**
 * The environment of this process, without the settings that a developer may have for their own server. Node's cache of
 * compiled code is that of a clone's launcher.
 */
function serverEnvironment(options: ServerOptions): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(SOULBOX_|E2B_|VITEST|NODE_OPTIONS)/.test(name));
  return {
    ...Object.fromEntries(inherited),
    SOULBOX_TEMPLATES_DIR: testTemplatesDirectory,
    NODE_COMPILE_CACHE: compileCacheFolder(),
    ...(options.poolSize === undefined ? {} : { SOULBOX_POOL_SIZE: String(options.poolSize) }),
    ...options.environment,
  };
}

async function clientEnvironments(
  dataDirectory: string,
  server: ServerFile,
): Promise<Pick<ServerProcess, 'clientEnvironment' | 'tlsEnvironment'>> {
  const key = await readDefaultApiKey(dataDirectory);
  if (key === undefined) throw new Error(`${dataDirectory} has no API key`);
  const only = (names: readonly string[]): Record<string, string> => ({
    ...Object.fromEntries(Object.entries(server.client).filter(([name]) => names.includes(name))),
    E2B_API_KEY: key.reveal(),
    E2B_ACCESS_TOKEN: key.reveal(),
  });
  return {
    clientEnvironment: only(['E2B_API_URL', 'E2B_SANDBOX_URL', 'E2B_VOLUME_API_URL']),
    tlsEnvironment: only(['E2B_DOMAIN', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE']),
  };
}

async function end(server: ServerFile, signal: NodeJS.Signals): Promise<void> {
  if (!isRunning(server)) return;
  process.kill(server.pid, signal);
  const giveUpAt = Date.now() + stopTimeoutMs;
  while (findProcess(server.pid) !== undefined && isRunning(server)) {
    if (Date.now() > giveUpAt) {
      process.kill(server.pid, 'SIGKILL');
      throw new Error(`The server (pid ${server.pid}) did not end within ${stopTimeoutMs / 1000} s of ${signal}.`);
    }
    await sleep(10);
  }
}

async function readLog(dataDirectory: string, lines: number): Promise<string> {
  const text = await readFile(join(dataDirectory, 'server.log'), 'utf8').catch(() => '(no log)');
  return text.split('\n').slice(-lines).join('\n');
}
