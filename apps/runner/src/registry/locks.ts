/** One lock per sandbox. A step holds it from its first check of the state to its end. */
export interface Locks {
  /** Runs `act` after all earlier callers. Runs it at once, in the same turn, when there are none. */
  alone<T>(sandboxId: string, act: () => Promise<T>): Promise<T>;
  /** Whether anything runs or waits. */
  isBusy(sandboxId: string): boolean;
}

export function createLocks(): Locks {
  const tails = new Map<string, Promise<unknown>>();
  return {
    async alone(sandboxId, act) {
      const before = tails.get(sandboxId);
      const outcome = before === undefined ? act() : before.then(act);
      const tail = outcome.catch(() => undefined);
      tails.set(sandboxId, tail);
      try {
        return await outcome;
      } finally {
        if (tails.get(sandboxId) === tail) tails.delete(sandboxId);
      }
    },
    isBusy: (sandboxId) => tails.has(sandboxId),
  };
}
