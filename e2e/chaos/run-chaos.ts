import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findProcess } from '@soulbox/base';
import type { Isolation } from '@soulbox/contract';
import { nodeProgram, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { openChaosStore } from './chaos-store.ts';
import { excuseVictims } from './excuse.ts';
import { findHidden } from './hidden.ts';
import type { KillCounts } from './killer.ts';
import { keepKilling } from './killer.ts';
import { listLeftovers } from './leftovers.ts';
import type { Order, Report, WorkerCounts } from './messages.ts';
import { createRandom } from './random.ts';
import { keepKillingTools } from './tool-killer.ts';

export interface ChaosOptions {
  readonly instance: number;
  /** Isolation of all sandboxes. Default: that of the server. */
  readonly isolation?: Isolation;
  /** Sandboxes to create and to follow to their end. */
  readonly cycles: number;
  /** Sandboxes at the same time. */
  readonly lanes: number;
  readonly seed: number;
  /** The kills stop after this number. The cycles continue. */
  readonly maxKills: number;
  /** Whether the server uploads what sleeps to an object store. */
  readonly hasStore?: boolean;
  /** Aborts: everything is ended, and the reason of the signal is thrown. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (text: string) => void;
}

export interface ChaosReport {
  readonly counts: WorkerCounts;
  readonly kills: KillCounts;
  /** Descriptions of broken promises. */
  readonly violations: readonly string[];
  /** What a CRIU that was killed during a save has destroyed. */
  readonly excused: readonly string[];
  /** Leftovers on the host, one line each. */
  readonly leftovers: readonly string[];
  readonly seconds: number;
  /** The data folder. Kept if something went wrong. */
  readonly dataDirectory: string | undefined;
}

/** Uses a server through the official client while it is killed again and again. Then ends everything and counts. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const startedAt = performance.now();
  const { instance, isolation } = options;
  await using store = await openChaosStore(options.hasStore === true);
  const environment = { ...store?.environment, ...(isolation === undefined ? {} : { SOULBOX_ISOLATION: isolation }) };
  const server = await startServer({ instance, environment });
  let stopped = false;
  let killing: Promise<void> | undefined;
  const stop = new AbortController();
  const worker = startWorker(server);
  try {
    const kills = { kills: 0, duringStart: 0, tools: 0 };
    const victims = new Set<string>();
    killing = keepKilling(server, createRandom(options.seed), { ...options, counts: kills, stop: stop.signal });
    await Promise.all([
      untilAborted(options.signal, stop.signal),
      killing,
      keepKillingTools(options.instance, createRandom(options.seed + 1), { counts: kills, victims, stop: stop.signal }),
      useServer(worker, options, kills).finally(() => {
        stop.abort();
      }),
    ]);
    const hidden = await findHidden(server);
    const { counts, violations: found } = await verify(worker);
    const told = [...hidden, ...found];
    const { violations, excused } = await excuseVictims(told, victims, server.clientEnvironment);
    const inStore = (await store?.leftovers()) ?? [];
    await server.stop();
    stopped = true;
    const leftovers = [...inStore, ...(await listLeftovers(options.instance, server.dataDirectory))];
    const fine = violations.length === 0 && leftovers.length === 0;
    if (fine) await rm(server.dataDirectory, { recursive: true });
    const seconds = (performance.now() - startedAt) / 1000;
    const dataDirectory = fine ? undefined : server.dataDirectory;
    return { counts, kills, violations, excused, leftovers, seconds, dataDirectory };
  } finally {
    stop.abort();
    await killing?.catch(() => undefined);
    worker.kill('SIGKILL');
    if (!stopped) await stopEvenIfDead(server);
  }
}

/** After a fault the server may be dead and its sandboxes alive. Then another server must end them. */
async function stopEvenIfDead(server: ServerProcess): Promise<void> {
  if (findProcess(server.pid) === undefined) await server.restart();
  await server.stop();
}

/** Rejects with the reason of `signal`, or resolves if `done` comes first. */
async function untilAborted(signal: AbortSignal | undefined, done: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
    done.addEventListener('abort', () => resolve());
  });
}

function startWorker(server: ServerProcess): ChildProcess {
  return fork(join(import.meta.dirname, 'worker.ts'), [], {
    execPath: nodeProgram,
    execArgv: [],
    env: { ...process.env, ...server.clientEnvironment },
  });
}

/** Each step starts a program, which takes ten times as much CPU time with gVisor. Beside twenty such, nothing else runs. */
const beats = { container: 0.05, gvisor: 0.5 } as const;

async function useServer(worker: ChildProcess, options: ChaosOptions, kills: KillCounts): Promise<void> {
  const { cycles, lanes, seed, isolation = 'container' } = options;
  let lastShown = 0;
  await exchange(worker, { type: 'start', cycles, lanes, seed, beat: beats[isolation] }, (message) => {
    if (message.type === 'progress' && message.counts.cycles >= lastShown + 10) {
      lastShown = message.counts.cycles;
      options.onProgress?.(`${message.counts.cycles} of ${cycles} cycles, ${kills.kills} kills`);
    }
    return message.type === 'cyclesDone' ? message : undefined;
  });
}

async function verify(worker: ChildProcess): Promise<Extract<Report, { type: 'result' }>> {
  return await exchange(worker, { type: 'verify' }, (message) => (message.type === 'result' ? message : undefined));
}

/** Sends an order and waits for the message that `pick` recognizes. Throws if the worker ends first. */
async function exchange<T>(worker: ChildProcess, order: Order, pick: (message: Report) => T | undefined): Promise<T> {
  const ended = new AbortController();
  const answer = new Promise<T>((resolve) => {
    const onMessage = (message: unknown): void => {
      const picked = pick(message as Report);
      if (picked === undefined) return;
      worker.off('message', onMessage);
      resolve(picked);
    };
    worker.on('message', onMessage);
  });
  worker.send(order);
  try {
    return await Promise.race([
      answer,
      once(worker, 'exit', { signal: ended.signal }).then(() => {
        throw new Error('the worker of the chaos test ended by itself; see its output above');
      }),
    ]);
  } finally {
    ended.abort();
  }
}
