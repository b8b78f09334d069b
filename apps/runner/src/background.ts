import type { Logger } from '@soulbox/base';

/** Owns work that continues after the call that began it has returned. */
export interface Background extends AsyncDisposable {
  /** Starts at once. The signal aborts when the server stops. Work that the next server can do is then left to it. */
  start(work: (stopping: AbortSignal) => Promise<void>): void;
}

export function createBackground(stopping: AbortSignal, logger: Logger): Background {
  const underWay = new Set<Promise<void>>();
  return {
    start(work) {
      const run = work(stopping)
        .catch((err: unknown) => {
          logger.error({ err }, 'background work failed');
        })
        .finally(() => {
          underWay.delete(run);
        });
      underWay.add(run);
    },
    async [Symbol.asyncDispose]() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
