/** Work under names: callers with the same name share it, and only some run at once. */
export interface KeyedQueue {
  once(name: string, work: () => Promise<void>): Promise<void>;
}

export function createKeyedQueue(atOnce: number): KeyedQueue {
  const known = new Map<string, Promise<void>>();
  const waiting: (() => void)[] = [];
  let running = 0;
  const inTurn = async (work: () => Promise<void>): Promise<void> => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      await work();
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
  return {
    async once(name, work) {
      const shared = known.get(name) ?? inTurn(work).finally(() => known.delete(name));
      known.set(name, shared);
      await shared;
    },
  };
}
