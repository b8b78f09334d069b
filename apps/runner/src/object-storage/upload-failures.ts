const firstMs = 2000;
const maxMs = 300_000;

/** When something that could not be uploaded is tried again. */
export interface Failures {
  note(object: string, reason: string): void;
  forget(object: string): void;
  mayTry(object: string): boolean;
  /** The last reason. */
  find(object: string): string | undefined;
  /** Forgets all others. */
  keepOnly(objects: ReadonlySet<string>): void;
}

export function createFailures(now: () => number): Failures {
  const failed = new Map<string, { readonly reason: string; readonly count: number; readonly againAt: number }>();
  return {
    note(object, reason) {
      const count = (failed.get(object)?.count ?? 0) + 1;
      failed.set(object, { reason, count, againAt: now() + Math.min(maxMs, firstMs * 2 ** (count - 1)) });
    },
    forget: (object) => void failed.delete(object),
    mayTry: (object) => now() >= (failed.get(object)?.againAt ?? 0),
    find: (object) => failed.get(object)?.reason,
    keepOnly(objects) {
      for (const object of failed.keys()) if (!objects.has(object)) failed.delete(object);
    },
  };
}
