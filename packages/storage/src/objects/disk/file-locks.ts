import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { StoreFault } from '../store-fault.ts';

export interface FileLocks {
  /** `name` is one of a fixed number: the files of locks stay. */
  take(name: string): Promise<AsyncDisposable>;
}

/** A change takes milliseconds; only a process that is stopped holds a lock this long. */
const patienceMs = 20_000;
const pollMs = 5;

/** Loads the code for locks, for a process that will not be able to read it later. */
export const loadFileLocks = async () => await import('@soulbox/linux/flock');

/** Locks of a folder for all processes that use it, by flock(2), which the kernel releases when a process dies. */
export function createFileLocks(root: string): FileLocks {
  const folder = join(root, '.locks');
  return {
    async take(name) {
      const { tryLock } = await loadFileLocks();
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = await open(join(folder, name), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      const until = performance.now() + patienceMs;
      try {
        while (!tryLock(file.fd)) {
          if (performance.now() > until)
            throw new StoreFault('storage_unavailable', 'Another process holds a lock of the store.');
          await setTimeout(pollMs);
        }
        return file;
      } catch (thrown) {
        await file.close();
        throw thrown;
      }
    },
  };
}
