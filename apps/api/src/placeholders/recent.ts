import type { Clock } from '@soulbox/base';

/**
 * Runs something at most once for a name within a time. Callers in that time share its outcome, unless it failed: then the
 * next one tries again.
 */
export interface Recent {
  once(name: string, work: () => Promise<void>): Promise<void>;
}

/** Beyond `max` names the oldest is forgotten, which only means that its work runs again. */
export function createRecent(clock: Clock, { lifeMs, max }: { readonly lifeMs: number; readonly max: number }): Recent {
  const known = new Map<string, { readonly done: Promise<void>; readonly endsAt: number }>();
  return {
    async once(name, work) {
      const now = clock.now();
      // The oldest comes first.
      for (const [old, { endsAt }] of known) {
        if (now < endsAt && known.size < max) break;
        known.delete(old);
      }
      const found = known.get(name);
      if (found !== undefined) {
        await found.done;
        return;
      }
      const entry = { done: work(), endsAt: now + lifeMs };
      known.set(name, entry);
      try {
        await entry.done;
      } catch (thrown) {
        if (known.get(name) === entry) known.delete(name);
        throw thrown;
      }
    },
  };
}
