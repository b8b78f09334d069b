import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess } from '@soulbox/base';
import type { Isolation } from '@soulbox/contract';
import { nodeProgram, serverMemoryMib, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { listLeftovers } from '../chaos/leftovers.ts';
import { readFigures } from './host-figures.ts';
import type { HostFigures } from './host-figures.ts';
import { findLeaks, findSlowdown } from './judge.ts';
import type { SoakMessage, SoakOrder, SoakResult } from './messages.ts';

export interface SoakOptions {
  readonly instance: number;
  /** Isolation of all sandboxes. */
  readonly isolation: Isolation;
  readonly minutes: number;
  readonly connections: number;
  readonly lanes: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (text: string) => void;
}

export interface SoakReport extends SoakResult {
  /** How much the attack slowed down normal calls, if more than promised. */
  readonly slowdown: string | undefined;
  readonly start: HostFigures;
  readonly end: HostFigures;
  /** MiB, once a second while the clients were working. */
  readonly memory: readonly number[];
  /** The data folder. Kept if something went wrong. */
  readonly dataDirectory: string | undefined;
}

/** Longer rounds in the long form, in which attackers come and go often enough. */
const roundSecondsMax = 60;
const roundsMin = 2;
const aloneShare = 1 / 3;
/** Few warm sandboxes, so that their number is soon restored. */
const poolSize = 2;
/** The time for ended sandboxes to disappear from the host and for new spares to boot. */
const settleMs = 30_000;

/** Uses a server like a normal client while hostile clients attack it. Then compares the figures. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const environment = { SOULBOX_ISOLATION: options.isolation };
  const server = await startServer({ instance: options.instance, poolSize, environment });
  let worker: ChildProcess | undefined;
  let stopped = false;
  const atWork = new AbortController();
  try {
    const start = await settled(server);
    worker = startWorker(server, orderOf(server, options));
    const memory: number[] = [];
    const [result] = await Promise.all([
      awaitResult(worker, options).finally(() => atWork.abort()),
      measureMemory(server, memory, atWork.signal),
    ]);
    const end = await settled(server, start);
    await server.stop();
    stopped = true;
    const leftovers = await listLeftovers(server.instance, server.dataDirectory);
    const violations = [...result.violations, ...findLeaks({ start, end, memory }), ...leftovers];
    if (violations.length === 0) await rm(server.dataDirectory, { recursive: true });
    const dataDirectory = violations.length === 0 ? undefined : server.dataDirectory;
    return { ...result, violations, slowdown: findSlowdown(result.latencies), start, end, memory, dataDirectory };
  } finally {
    atWork.abort();
    worker?.kill('SIGKILL');
    if (!stopped) {
      if (findProcess(server.pid) === undefined) await server.restart();
      await server.stop();
    }
  }
}

function orderOf(server: ServerProcess, { minutes, connections, lanes, seed }: SoakOptions): SoakOrder {
  const seconds = minutes * 60;
  const rounds = Math.max(roundsMin, Math.round(seconds / roundSecondsMax));
  const aloneSeconds = (seconds / rounds) * aloneShare;
  const attackedSeconds = seconds / rounds - aloneSeconds;
  return { port: server.port, seed, connections, lanes, rounds, aloneSeconds, attackedSeconds };
}

function startWorker(server: ServerProcess, order: SoakOrder): ChildProcess {
  return fork(join(import.meta.dirname, 'worker.ts'), [JSON.stringify(order)], {
    execPath: nodeProgram,
    execArgv: [],
    env: { ...process.env, ...server.clientEnvironment },
  });
}

async function awaitResult(worker: ChildProcess, { signal, onProgress }: SoakOptions): Promise<SoakResult> {
  const done = new Promise<SoakResult>((resolve) => {
    worker.on('message', (message: SoakMessage) => {
      if (message.type === 'done') resolve(message);
      else onProgress?.(`round ${message.round} is over`);
    });
  });
  const ended = once(worker, 'exit').then(() => {
    throw new Error('the worker of the soak ended by itself; see its output above');
  });
  const interrupted = new Promise<never>((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
  });
  ended.catch(() => undefined);
  return await Promise.race([done, ended, interrupted]);
}

/** Measures once a second until it is stopped. Throws if the server is dead. */
async function measureMemory(server: ServerProcess, memory: number[], stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    if (findProcess(server.pid) === undefined) throw new Error(`The server died:\n${await server.readLog(20)}`);
    memory.push(serverMemoryMib(server.pid));
    await sleep(1000);
  }
}

/** The figures of an idle server: when they no longer change, or are again as at the start. */
async function settled(server: ServerProcess, start?: HostFigures): Promise<HostFigures> {
  const giveUpAt = Date.now() + settleMs;
  let figures = await readFigures(server);
  for (;;) {
    await sleep(1000);
    const later = await readFigures(server);
    const expected = start ?? figures;
    const isStill = JSON.stringify(later.objects) === JSON.stringify(expected.objects) && hasSpares(later);
    figures = later;
    if (isStill || Date.now() > giveUpAt) return figures;
  }
}

function hasSpares({ objects }: HostFigures): boolean {
  return (objects['cgroup'] ?? 0) >= poolSize;
}
