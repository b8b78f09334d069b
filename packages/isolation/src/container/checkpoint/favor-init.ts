import { setPriority } from 'node:os';
import koffi from 'koffi';

// The process's own symbols: works with every libc that Node itself was linked against.
const libc = koffi.load(null);
const setScheduler = libc.func('int sched_setscheduler(int pid, int policy, void *parameters)') as (
  pid: number,
  policy: number,
  parameters: Buffer,
) => number;

// sched(7): the usual policy, and what the process starts gets none of its place.
const other = 0;
const resetOnFork = 0x4000_0000;

/**
 * Gives a restored init the place that `createOciConfig` gives a new one. A restored process has no right to a better place
 * than others, so CRIU could not bring it back.
 */
export function favorInit(pid: number, nice: number): void {
  if (setScheduler(pid, other | resetOnFork, Buffer.alloc(4)) !== 0)
    throw new Error(`sched_setscheduler: errno ${koffi.errno()}`);
  setPriority(pid, nice);
}
