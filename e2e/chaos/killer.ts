import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '@soulbox/base';
import type { ServerProcess } from '@soulbox/testing';
import type { Random } from './random.ts';

/** The longest wait before a kill: about what one create, run and kill take under load. */
const maxDelayMs = 400;
/** Without calm now and then hardly any cycle would get to its end. */
const maxCalmMs = 1500;

export interface KillCounts {
  kills: number;
  /** Of these, while the server was still starting. */
  duringStart: number;
}

/** Kills and restarts the server at random moments until told to stop; then leaves it running. */
export async function keepKilling(
  server: ServerProcess,
  random: Random,
  options: { maxKills: number; counts: KillCounts; stop: AbortSignal },
): Promise<void> {
  const { counts, stop } = options;
  while (!stop.aborted && counts.kills < options.maxKills) {
    await sleep(random.chance(0.3) ? random.between(0, maxCalmMs) : random.between(0, maxDelayMs));
    await server.kill9();
    counts.kills++;
    while (random.chance(0.35)) {
      if (await killWhileStarting(server, random.between(0, maxDelayMs))) {
        counts.kills++;
        counts.duringStart++;
      } else {
        // It was quicker than the kill: another moment, right after the start.
        await server.kill9();
        counts.kills++;
      }
    }
    await server.restart();
  }
}

/** Starts the server and kills it `delayMs` later; false when it was ready by then. */
async function killWhileStarting(server: ServerProcess, delayMs: number): Promise<boolean> {
  const outcome = server.restart().then(
    () => 'ready' as const,
    () => 'died' as const,
  );
  const pid = await Promise.race([awaitStartingPid(server), outcome]);
  if (typeof pid === 'number') {
    await Promise.race([sleep(delayMs), outcome]);
    if (!(await isReady(server, pid))) process.kill(pid, 'SIGKILL');
  }
  return (await outcome) === 'died';
}

/** The pid of the server that has just claimed its data folder. */
async function awaitStartingPid(server: ServerProcess): Promise<number> {
  for (;;) {
    const { pid, state } = await readServerFile(server);
    if (state === 'starting' && pid !== server.pid) return pid;
    await sleep(5);
  }
}

async function isReady(server: ServerProcess, pid: number): Promise<boolean> {
  const file = await readServerFile(server);
  return file.pid !== pid || file.state === 'ready';
}

async function readServerFile(server: ServerProcess): Promise<{ pid: number; state: string }> {
  const text = await readFile(join(server.dataDirectory, 'run', 'server.json'), 'utf8').catch(() => '');
  return text === '' ? { pid: 0, state: '' } : (JSON.parse(text) as { pid: number; state: string });
}
