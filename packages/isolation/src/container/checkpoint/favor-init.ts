import { setPriority } from 'node:os';
import { scheduler, setScheduler } from '@soulbox/linux/processes';

/**
 * Gives a restored init the priority that `createOciConfig` gives a new one; its children do not inherit it. A restored
 * process has no right to raise its priority, so CRIU could not restore it.
 */
export function favorInit(pid: number, nice: number): void {
  setScheduler(pid, scheduler.other | scheduler.resetOnFork);
  setPriority(pid, nice);
}
