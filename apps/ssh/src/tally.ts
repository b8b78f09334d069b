/** Counts what each owner has, up to a limit. */
export interface Tally {
  /** False if the owner has as many as it may. */
  take(owner: string): boolean;
  free(owner: string): void;
}

export function createTally(max: number): Tally {
  const counts = new Map<string, number>();
  return {
    take(owner) {
      const count = counts.get(owner) ?? 0;
      if (count >= max) return false;
      counts.set(owner, count + 1);
      return true;
    },
    free(owner) {
      const left = (counts.get(owner) ?? 1) - 1;
      if (left === 0) counts.delete(owner);
      else counts.set(owner, left);
    },
  };
}
