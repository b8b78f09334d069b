import { readFile } from 'node:fs/promises';
import { isKillPending } from '../host/init-process.ts';

/**
 * Why no memory may be saved at this moment of a frozen group, or undefined if it may. `killed`: SIGKILL waits for a
 * program. It ends in the middle of its restore, and the restore fails. `leaderless`: the first thread of a program has
 * ended and others have not, which CRIU cannot save. Usually both last for a moment after the program continues.
 */
export type Dying = 'killed' | 'leaderless' | undefined;

/** Looks at the first thread of each program: a signal that ends a program waits for every thread. */
export async function findDying(pids: readonly number[]): Promise<Dying> {
  const found = await Promise.all(pids.map(async (pid) => judge(await readStatus(pid))));
  return found.find((dying) => dying === 'killed') ?? found.find((dying) => dying !== undefined);
}

/** Empty if the program is gone. */
async function readStatus(pid: number): Promise<string> {
  return await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
}

function judge(status: string): Dying {
  const [, state] = /^State:\s+(\w)/m.exec(status) ?? [];
  if (state !== 'Z') return isKillPending(status) ? 'killed' : undefined;
  const [, threads] = /^Threads:\s+(\d+)/m.exec(status) ?? [];
  return Number(threads) > 1 ? 'leaderless' : undefined;
}
