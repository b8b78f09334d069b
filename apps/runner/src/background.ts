import type { Logger } from '@soulbox/base';

/** Owns work that goes on after the call that began it has been answered. */
export interface Background extends AsyncDisposable {
  /** Begins at once. The signal aborts when the server stops: what can be left to the next one is left then. */
  start(work: (stopping: AbortSignal) => Promise<void>): void;
}

export function createBackground(stopping: AbortSignal, logger: Logger): Background {
  const underWay = new Set<Promise<void>>();
  return {
    start(work) {
      const run = work(stopping)
        .catch((err: unknown) => {
          logger.error({ err }, 'work in the background failed');
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
