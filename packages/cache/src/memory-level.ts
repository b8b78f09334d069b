import type { FrequencySketch } from './frequency-sketch.ts';
import type { Level } from './level.ts';

export interface MemoryOptions {
  /** Of all values, with 256 bytes for each. */
  readonly maxBytes: number;
  readonly uses: FrequencySketch;
}

/** For the entry and its key, in bytes. */
const entryBytes = 256;

/** A level with one more way in, for values that will be read soon. */
export interface MemoryLevel extends Level {
  has(key: string): boolean;
  /** Takes the value even if others were used more often. */
  take(key: string, value: Buffer): void;
}

/**
 * Values in the memory of this process. When it is full, the value that was not read for the longest time makes room, but
 * only for one that was used more often lately. So a large content that is read once does not drive out what is hot.
 */
export function createMemoryLevel({ maxBytes, uses }: MemoryOptions): MemoryLevel {
  // A Map keeps the order of insertion: the first entry was not read for the longest time.
  const values = new Map<string, Buffer>();
  let bytes = 0;
  let evictions = 0;
  const drop = (key: string): boolean => {
    const value = values.get(key);
    if (value === undefined) return false;
    values.delete(key);
    bytes -= costOf(value);
    return true;
  };
  const insert = (key: string, value: Buffer, mayReplace: (victim: string) => boolean): void => {
    drop(key);
    const cost = costOf(value);
    if (cost > maxBytes) return;
    const victims: string[] = [];
    let free = maxBytes - bytes;
    for (const [victim, held] of values) {
      if (free >= cost) break;
      if (!mayReplace(victim)) return;
      victims.push(victim);
      free += costOf(held);
    }
    for (const victim of victims) if (drop(victim)) evictions += 1;
    values.set(key, value);
    bytes += cost;
  };
  return {
    name: 'memory',
    has: (key) => values.has(key),
    find(key) {
      const value = values.get(key);
      if (value !== undefined) {
        values.delete(key);
        values.set(key, value);
      }
      return Promise.resolve(value);
    },
    offer(key, value) {
      const own = uses.estimate(key);
      insert(key, value, (victim) => own > uses.estimate(victim));
    },
    take: (key, value) => insert(key, value, () => true),
    remove(key) {
      drop(key);
      return Promise.resolve();
    },
    refuse(key) {
      drop(key);
      return Promise.resolve();
    },
    content: () => ({ bytes, maxBytes, entries: values.size, evictions }),
    [Symbol.asyncDispose]() {
      values.clear();
      bytes = 0;
      return Promise.resolve();
    },
  };
}

/** A value that is a part of a larger buffer keeps all of it. */
const costOf = (value: Buffer): number => Math.max(value.length, value.buffer.byteLength) + entryBytes;
