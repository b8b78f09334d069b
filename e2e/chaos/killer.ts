import { setTimeout as sleep } from 'node:timers/promises';

import { findServer } from '@soulbox/box/server-file';
import type { ServerProcess } from '@soulbox/testing';
import type { Random } from './random.ts';

/** The longest wait before a kill: about the time of a create, run and kill, or of a pause and a resume, under load. */
const maxDelayMs = 600;
/** Without occasional calm hardly any cycle would reach its end. */
const maxCalmMs = 4000;
/** The time of a server start on an idle machine. If it takes longer, everything takes longer, and so do the waits. */
const usualStartMs = 1000;
const maxSlowness = 10;
/** How much longer a save and a restore take than with crun and CRIU. At the pace of those hardly any would finish. */
const paces = { container: 1, gvisor: 3 } as const;

export interface KillCounts {
  kills: number;
  /** The number of these kills during the start of the server. */
  duringStart: number;
  /** Killed host programs that worked for a sandbox, such as criu or crun. */
  tools: number;
}

/** Kills and restarts the server at random moments until it is stopped. Then the server keeps running. */
export async function keepKilling(
  server: ServerProcess,
  random: Random,
  options: { isolation?: keyof typeof paces; maxKills: number; counts: KillCounts; stop: AbortSignal },
): Promise<void> {
  const { counts, stop, isolation = 'container' } = options;
  const pace = paces[isolation];
  let slowness = 1;
  while (!stop.aborted && counts.kills < options.maxKills) {
    await sleep(pace * slowness * random.between(0, random.chance(0.3) ? maxCalmMs : maxDelayMs));
    await server.kill9();
    counts.kills++;
    while (random.chance(0.35)) {
      if (await killWhileStarting(server, random.between(0, maxDelayMs))) {
        counts.kills++;
        counts.duringStart++;
      } else {
        // The start was faster than the kill: another moment, right after the start.
        await server.kill9();
        counts.kills++;
      }
    }
    const startedAt = performance.now();
    await server.restart();
    slowness = Math.min(Math.max((performance.now() - startedAt) / usualStartMs, 1), maxSlowness);
  }
}

/** Starts the server and kills it `delayMs` later. False if it was ready by then. */
async function killWhileStarting(server: ServerProcess, delayMs: number): Promise<boolean> {
  const outcome = server.restart().then(
    () => 'ready' as const,
    () => 'died' as const,
  );
  const pid = await Promise.race([awaitStartingPid(server), outcome]);
  if (typeof pid === 'number') {
    await Promise.race([sleep(delayMs), outcome]);
    if (!(await isOver(server, pid))) process.kill(pid, 'SIGKILL');
  }
  return (await outcome) === 'died';
}

/** The pid of the server that has just claimed its data folder. The file of a dead server does not count. */
async function awaitStartingPid(server: ServerProcess): Promise<number> {
  for (;;) {
    const found = await findServer(server.dataDirectory);
    if (found?.state === 'starting') return found.pid;
    await sleep(5);
  }
}

/** Whether this server became ready or ended by itself. In both cases its start can no longer be killed. */
async function isOver(server: ServerProcess, pid: number): Promise<boolean> {
  const found = await findServer(server.dataDirectory);
  return found?.pid !== pid || found.state === 'ready';
}
