/** One lock per sandbox: whoever changes its state holds it from the first look at the state to the last step. */
export interface Locks {
  /** Runs `act` when all that asked before have ended; at once, without a wait, when nobody has. */
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
