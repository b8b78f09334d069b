/** Serializes work by key: what is asked for first runs first. */
export interface Locks {
  /** Runs `work` after all earlier callers of the key. Runs it at once, in the same turn, when there are none. */
  alone<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** Whether anything of the key runs or waits. */
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
