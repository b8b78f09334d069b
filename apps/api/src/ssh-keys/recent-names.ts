/** Remembers names. Of more than `max`, the least recently added is forgotten. */
export interface RecentNames {
  add(name: string): void;
  has(name: string): boolean;
}

export function createRecentNames(max: number): RecentNames {
  const names = new Set<string>();
  return {
    add(name) {
      names.delete(name);
      names.add(name);
      if (names.size <= max) return;
      const [oldest] = names;
      if (oldest !== undefined) names.delete(oldest);
    },
    has: (name) => names.has(name),
  };
}
