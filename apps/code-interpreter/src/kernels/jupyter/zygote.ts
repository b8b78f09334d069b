import type { ProcessGroup } from '../process/group.ts';
import type { ForkRequest, ZygoteOptions, ZygoteProcess } from './zygote-process.ts';
import { startZygoteProcess } from './zygote-process.ts';

/** Makes Python kernels by forking a process that has imported what they need. */
export interface Zygote {
  fork(request: ForkRequest): Promise<ProcessGroup>;
}

/** Between the end of one and the start of the next: what ends again and again must not keep the sandbox busy. */
const restartDelayMs = 500;
/**
 * Starts when first asked, and again when it ended (its kernels end with it) or when a package that it has imported was
 * replaced: a kernel must import what is installed now.
 */
export function createZygote(options: ZygoteOptions): Zygote {
  let current: Promise<ZygoteProcess> | undefined;
  /** Whoever comes later gets another one, also where several find out at once. */
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
        // Without being asked, as a service would be: it takes a second that nobody should wait for.
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
      throw new Error('The packages of Python change all the time.');
    },
  };
}
