/** Work that goes on at the same time, except in moments when none of it may. */
export interface Gate {
  pass<T>(work: () => Promise<T>): Promise<T>;
  /** Runs `work` while nothing passes. */
  close<T>(work: () => Promise<T>): Promise<T>;
}

export function createGate(): Gate {
  let passing = 0;
  let closed: Promise<unknown> | undefined;
  let emptied: PromiseWithResolvers<void> | undefined;
  const leave = (): void => {
    passing -= 1;
    if (passing === 0) emptied?.resolve();
  };
  return {
    async pass(work) {
      while (closed !== undefined) await closed;
      passing += 1;
      try {
        return await work();
      } finally {
        leave();
      }
    },
    async close(work) {
      while (closed !== undefined) await closed;
      const opened: PromiseWithResolvers<void> = Promise.withResolvers();
      closed = opened.promise;
      try {
        if (passing > 0) {
          emptied = Promise.withResolvers();
          await emptied.promise;
          emptied = undefined;
        }
        return await work();
      } finally {
        closed = undefined;
        opened.resolve();
      }
    },
  };
}
