import type { Clock } from '@soulbox/base';

export interface DataKeyCacheOptions {
  readonly max: number;
  readonly lifeMs: number;
  readonly clock: Clock;
}

/** Unwrapped data keys. Each is overwritten when its time is over, when it is displaced, and at the end. */
export interface DataKeyCache extends Disposable {
  /**
   * Calls `work` with the key, which it must not keep. `load` unwraps the key if it is not in the cache. Nothing can
   * overwrite the key during the call, because `work` is synchronous.
   */
  use<T>(id: string, load: () => Promise<Buffer>, work: (key: Buffer) => T): Promise<T>;
  readonly size: number;
}

export function createDataKeyCache({ max, lifeMs, clock }: DataKeyCacheOptions): DataKeyCache {
  // In the order of their last use.
  const entries = new Map<string, { readonly key: Buffer; readonly until: number }>();
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  const drop = (id: string): void => {
    entries.get(id)?.key.fill(0);
    entries.delete(id);
  };
  const expire = (): void => {
    timer = undefined;
    const now = clock.now();
    for (const [id, { until }] of [...entries]) if (until <= now) drop(id);
    plan();
  };
  const plan = (): void => {
    if (timer !== undefined || entries.size === 0) return;
    const next = Math.min(...[...entries.values()].map(({ until }) => until));
    if (next === Infinity) return;
    timer = setTimeout(expire, Math.max(next - clock.now(), 1));
    timer.unref();
  };
  const keep = (id: string, key: Buffer): void => {
    if (isClosed || entries.has(id)) {
      key.fill(0);
      return;
    }
    const [oldest] = entries.keys();
    if (entries.size >= max && oldest !== undefined) drop(oldest);
    entries.set(id, { key, until: clock.now() + lifeMs });
    plan();
  };

  return {
    async use(id, load, work) {
      const entry = entries.get(id);
      if (entry !== undefined && entry.until > clock.now()) {
        entries.delete(id);
        entries.set(id, entry);
        return work(entry.key);
      }
      drop(id);
      const key = await load();
      try {
        return work(key);
      } finally {
        keep(id, key);
      }
    },
    get size() {
      return entries.size;
    },
    [Symbol.dispose]() {
      isClosed = true;
      clearTimeout(timer);
      for (const id of [...entries.keys()]) drop(id);
    },
  };
}
