/** `states/ID` and `layers/ID`, as the parcels are named. */
export type CopyName = `states/${string}` | `layers/${string}`;

/** When copies were last used on this host, and which are being removed from it. */
export interface LocalUses {
  /** Notes a use. Waits until a removal in progress is over: then it must be fetched. */
  use(name: CopyName): Promise<void>;
  /** Of the life of this process. Undefined: never. */
  lastUseMs(name: CopyName): number | undefined;
  /** Removes a copy unless it was used after `beforeMs`. Returns whether it did. */
  removeUnused(name: CopyName, beforeMs: number, remove: () => Promise<void>): Promise<boolean>;
}

export function createLocalUses(now: () => number): LocalUses {
  const uses = new Map<CopyName, number>();
  const removals = new Map<CopyName, Promise<void>>();
  return {
    async use(name) {
      uses.set(name, now());
      await removals.get(name)?.catch(() => undefined);
    },
    lastUseMs: (name) => uses.get(name),
    async removeUnused(name, beforeMs, remove) {
      if ((uses.get(name) ?? -Infinity) > beforeMs || removals.has(name)) return false;
      // From here to the call of `remove` nothing else runs: whoever uses it from now on waits.
      const lastUseMs = uses.get(name);
      const removal = remove();
      removals.set(name, removal);
      try {
        await removal;
        if (uses.get(name) === lastUseMs) uses.delete(name);
        return true;
      } finally {
        removals.delete(name);
      }
    },
  };
}
