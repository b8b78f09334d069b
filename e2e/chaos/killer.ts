import { sleep } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import type { ServerProcess } from '@soulbox/testing';
import type { Random } from './random.ts';

/** The longest wait before a kill: about what one create, run and kill, or a pause and a resume, take under load. */
const maxDelayMs = 600;
/** Without calm now and then hardly any cycle would get to its end. */
const maxCalmMs = 4000;
/** What a start of the server takes when nobody else is at work. Where it takes longer, all takes longer, and so do the waits. */
const usualStartMs = 1000;
const maxSlowness = 10;
/** How much longer a save and a restore take than with crun and CRIU: with their pace hardly any would get to its end. */
const paces = { container: 1, gvisor: 3 } as const;

export interface KillCounts {
  kills: number;
  /** Of these, while the server was still starting. */
  duringStart: number;
  /** Host programs that worked for a sandbox, such as criu or crun. */
  tools: number;
}

/** Kills and restarts the server at random moments until told to stop; then leaves it running. */
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
        // It was quicker than the kill: another moment, right after the start.
        await server.kill9();
        counts.kills++;
      }
    }
    const startedAt = performance.now();
    await server.restart();
    slowness = Math.min(Math.max((performance.now() - startedAt) / usualStartMs, 1), maxSlowness);
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
    if (!(await isOver(server, pid))) process.kill(pid, 'SIGKILL');
  }
  return (await outcome) === 'died';
}

/** The pid of the server that has just claimed its data folder. Of a dead one only the file is left; that is not it. */
async function awaitStartingPid(server: ServerProcess): Promise<number> {
  for (;;) {
    const found = await findServer(server.dataDirectory);
    if (found?.state === 'starting') return found.pid;
    await sleep(5);
  }
}

/** Whether this very server got ready, or ended by itself: both ways there is nothing to kill in its start. */
async function isOver(server: ServerProcess, pid: number): Promise<boolean> {
  const found = await findServer(server.dataDirectory);
  return found?.pid !== pid || found.state === 'ready';
}
