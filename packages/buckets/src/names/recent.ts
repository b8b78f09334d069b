/** Values that count for a while. The oldest go first when there are too many. */
export interface Recent<Value> {
  find(key: string): Value | undefined;
  set(key: string, value: Value): void;
  delete(key: string): void;
}

export function createRecent<Value>({
  maxCount,
  ms,
}: {
  readonly maxCount: number;
  readonly ms: number;
}): Recent<Value> {
  const values = new Map<string, { readonly value: Value; readonly at: number }>();
  return {
    find(key) {
      const found = values.get(key);
      if (found === undefined) return undefined;
      if (performance.now() - found.at <= ms) return found.value;
      values.delete(key);
      return undefined;
    },
    set(key, value) {
      values.delete(key);
      values.set(key, { value, at: performance.now() });
      if (values.size <= maxCount) return;
      for (const oldest of values.keys()) {
        values.delete(oldest);
        break;
      }
    },
    delete: (key) => void values.delete(key),
  };
}
