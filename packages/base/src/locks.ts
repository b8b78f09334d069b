/** Serializes work by key, in the order of the calls. */
export interface Locks {
  /**
   * Runs `work` after all earlier calls with the same key. If there are none, runs it at once, in the same turn of the
   * event loop.
   */
  alone<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Whether any work for the key runs or waits. */
  isBusy(key: string): boolean;
}

export function createLocks(): Locks {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async alone(key, work) {
      const before = tails.get(key);
      const outcome = before === undefined ? work() : before.then(work);
      const tail = outcome.catch(() => undefined);
      tails.set(key, tail);
      try {
        return await outcome;
      } finally {
        if (tails.get(key) === tail) tails.delete(key);
      }
    },
    isBusy: (key) => tails.has(key),
  };
}
