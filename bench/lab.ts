import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import type { Isolation } from '@soulbox/contract';
import type { ServerProcess } from '@soulbox/testing';
import { startFrom } from './start-from.ts';

export interface LabOptions {
  /** Rounds for measurements of single calls. */
  readonly rounds: number;
  readonly instance: number;
  readonly coldInstance: number;
  readonly buildInstance: number;
  /** The isolation of all sandboxes. */
  readonly isolation: Isolation;
  /** The folder of the version that is measured, in which `npm ci` has run. Undefined: this one. */
  readonly clone?: string | undefined;
}

/** The measured servers, and the official client for them. */
export interface Lab extends AsyncDisposable {
  readonly rounds: number;
  readonly isolation: Isolation;
  /** For a measurement that needs a runner of its own. */
  readonly buildInstance: number;
  /** A server with a warm pool. */
  readonly warm: ServerProcess;
  /** A server that boots every sandbox on demand; started at the first call. */
  cold(): Promise<ServerProcess>;
  /** The servers that are running. */
  servers(): Promise<readonly ServerProcess[]>;
  /** From the default template, unless another is named. */
  create(server: ServerProcess, templateId?: string): Promise<Sandbox>;
  /**
   * Calls SoulBox's API for operations that the official client lacks; returns the response's status. Throws on 5xx.
   */
  call(server: ServerProcess, method: string, path: string, body?: object): Promise<number>;
  /** Waits until the pool is full and nothing else boots or ends, so that samples do not disturb each other. */
  settle(server: ServerProcess, sandboxCount?: number): Promise<void>;
  /** Waits until the set of the server's sandboxes has not changed for a while, whatever their number. */
  quiet(server: ServerProcess): Promise<void>;
  progress(text: string): void;
  /** Ends `part` with the lab, even if the bench is interrupted. */
  use(part: AsyncDisposable): void;
}

const poolSize = 8;
const settleTimeoutMs = 60_000;
/** Longer than a pool waits before a refill. */
const quietMs = 600;

export async function openLab(options: LabOptions): Promise<Lab> {
  const parts = new AsyncDisposableStack();
  const start = async (instance: number, spares: number): Promise<ServerProcess> => {
    const environment = {
      ...{ SOULBOX_LOG_LEVEL: 'warn', SOULBOX_ISOLATION: options.isolation },
      // Idle sandboxes write little: hundreds of them fit on the disk of a small host.
      SOULBOX_DISK_OVERCOMMIT: '400',
    };
    const server = await startFrom(options.clone, { instance, poolSize: spares, environment });
    parts.defer(async () => {
      await server.stop();
      await rm(server.dataDirectory, { recursive: true });
    });
    return server;
  };
  const warm = await start(options.instance, poolSize);
  let cold: Promise<ServerProcess> | undefined;
  return {
    rounds: options.rounds,
    isolation: options.isolation,
    buildInstance: options.buildInstance,
    warm,
    cold: async () => await (cold ??= start(options.coldInstance, 0)),
    servers: async () => (cold === undefined ? [warm] : [warm, await cold]),
    create: async (server, templateId = 'base') =>
      await Sandbox.create(templateId, { ...connectionTo(server), timeoutMs: 600_000 }),
    call: async (server, method, path, body) => (await callApi(server, method, path, body)).status,
    settle: async (server, sandboxCount = 0) => {
      const spares = server === warm ? poolSize : 0;
      const giveUpAt = Date.now() + settleTimeoutMs;
      while (!(await isSettled(server, sandboxCount, spares))) {
        if (Date.now() > giveUpAt)
          throw new Error(
            `instance ${server.instance} did not settle at ${sandboxCount} sandboxes and ${spares} spares: ` +
              (await describeSandboxes(server)),
          );
        await sleep(10);
      }
    },
    quiet: async (server) => {
      const giveUpAt = Date.now() + settleTimeoutMs;
      let [seen, since] = ['', performance.now()];
      while (performance.now() - since < quietMs) {
        const now = await describeSandboxes(server);
        if (now !== seen) [seen, since] = [now, performance.now()];
        if (Date.now() > giveUpAt) throw new Error(`instance ${server.instance} did not come to rest`);
        await sleep(20);
      }
    },
    use: (part) => {
      parts.use(part);
    },
    progress: (text) => {
      console.error(`bench: ${text}`);
    },
    async [Symbol.asyncDispose]() {
      await parts.disposeAsync();
    },
  };
}

/** SoulBox's own field of the pause call; the official client does not have it. */
export async function pauseInBackground(server: ServerProcess, sandboxId: string): Promise<void> {
  const { status } = await callApi(server, 'POST', `/sandboxes/${sandboxId}/pause`, { durability: 'in-background' });
  if (status !== 204) throw new Error(`pause: ${status}`);
}

/** Calls the API with the key of the server. Throws for a status of 500 and above. */
export async function callApi(server: ServerProcess, method: string, path: string, body?: object): Promise<Response> {
  const { apiKey, apiUrl } = connectionTo(server);
  const response = await fetch(`${apiUrl}${path}`, {
    method,
    headers: { 'x-api-key': apiKey, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (response.status >= 500) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

/** The client's options for a server, so that one process can use several servers. */
export function connectionTo(server: ServerProcess): { apiKey: string; apiUrl: string; sandboxUrl: string } {
  const { E2B_API_KEY: apiKey, E2B_API_URL: apiUrl, E2B_SANDBOX_URL: sandboxUrl } = server.clientEnvironment;
  if (apiKey === undefined || apiUrl === undefined || sandboxUrl === undefined)
    throw new Error(`The server of instance ${server.instance} did not say how to reach it.`);
  return { apiKey, apiUrl, sandboxUrl };
}

/**
 * Whether that many sandboxes run, that many spares are warm, and nothing changes. An earlier measurement may have left
 * spares of other templates.
 */
async function isSettled(server: ServerProcess, sandboxCount: number, spares: number): Promise<boolean> {
  const states = [...(await readStates(server)).values()];
  const running = states.filter((state) => state === 'running').length;
  const warm = states.filter((state) => state === 'warm').length;
  // They stay as long as the demand for the template is remembered.
  const copies = states.filter((state) => state === copiedSpare).length;
  return running === sandboxCount && warm >= spares && running + warm + copies === states.length;
}

/** A spare of a built template, or one that is being made. Its record has no tenant yet. */
const copiedSpare = 'spare of a built template';

/** The runner's records on disk: the state of each sandbox by its id. */
async function readStates(server: ServerProcess): Promise<ReadonlyMap<string, string>> {
  const folder = join(server.dataDirectory, 'sandboxes');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const states = names.toSorted().map(async (name): Promise<readonly [string, string]> => {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '');
    const state = /"state":"(\w+)"/.exec(text)?.[1] ?? '';
    return [name, state === 'restoring' && !text.includes('"tenant":') ? copiedSpare : state];
  });
  return new Map(await Promise.all(states));
}

async function describeSandboxes(server: ServerProcess): Promise<string> {
  return [...(await readStates(server))].flat().join(' ');
}
