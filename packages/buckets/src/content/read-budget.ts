/** Bytes that all mounts together hold of objects that nobody has asked for yet. */
export interface ReadBudget {
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export function createReadBudget(maxBytes: number): ReadBudget {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > maxBytes) return false;
      used += bytes;
      return true;
    },
    give(bytes) {
      used -= bytes;
    },
  };
}
