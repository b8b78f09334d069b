import type { ProcessGroup } from '../process/group.ts';
import type { ForkRequest, ZygoteOptions, ZygoteProcess } from './zygote-process.ts';
import { startZygoteProcess } from './zygote-process.ts';

/** Creates Python kernels by forking a process that has already imported their modules. */
export interface Zygote {
  fork(request: ForkRequest): Promise<ProcessGroup>;
}

/**
 * Wait between the end of one process and the start of the next: a process that ends repeatedly must not keep the
 * sandbox busy.
 */
const restartDelayMs = 500;

/**
 * Starts the process at the first request. Starts it again when it has ended (its kernels end with it), or when a
 * package that it has imported was replaced: a kernel must import the installed version.
 */
export function createZygote(options: ZygoteOptions): Zygote {
  let current: Promise<ZygoteProcess> | undefined;
  /** Later callers get another process. True for the first caller only, when several notice at once. */
  const drop = (process: Promise<ZygoteProcess>): boolean => {
    if (current !== process) return false;
    current = undefined;
    return true;
  };
  const get = (): Promise<ZygoteProcess> => {
    if (current !== undefined) return current;
    const started = startZygoteProcess(options);
    current = started;
    started.then(
      async ({ ended }) => {
        await ended;
        // Restarts without a request, as a service would: a start takes a second that nobody should wait for.
        if (drop(started)) setTimeout(() => void get().catch(() => undefined), restartDelayMs);
      },
      () => drop(started),
    );
    return started;
  };
  return {
    fork: async (request) => {
      for (let attempt = 0; attempt < 3; attempt++) {
        const started = get();
        const process = await started;
        const forked = await process.fork(request);
        if (forked !== 'outdated') return forked;
        if (drop(started)) process.retire();
      }
      throw new Error('Python packages changed during each of 3 start attempts. Retry.');
    },
  };
}
