/** The keys that were added last, of a bounded number. */
export interface RecentKeys<T> {
  add(key: string, about: T): void;
  find(key: string): T | undefined;
  delete(key: string): void;
}

export function createRecentKeys<T>(max: number): RecentKeys<T> {
  const keys = new Map<string, T>();
  return {
    add(key, about) {
      keys.delete(key);
      keys.set(key, about);
      if (keys.size <= max) return;
      const [oldest] = keys.keys();
      if (oldest !== undefined) keys.delete(oldest);
    },
    find: (key) => keys.get(key),
    delete: (key) => keys.delete(key),
  };
}
