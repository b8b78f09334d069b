import { expect, test } from 'vitest';
import type { ArrivingValue } from './arrival.ts';
import { createCache } from './create-cache.ts';
import type { Cache } from './create-cache.ts';
import { createFrequencySketch } from './frequency-sketch.ts';
import { SlowLevelError } from './level.ts';
import type { Level, LevelName } from './level.ts';
import { createMemoryLevel } from './memory-level.ts';
import { watchLevel } from './watched-level.ts';

const { signal } = new AbortController();

interface MapLevel extends Level {
  readonly values: Map<string, Buffer>;
  readonly refused: string[];
  /** Thrown by all calls. */
  fault: Error | undefined;
  asked: number;
}

function mapLevel(name: LevelName): MapLevel {
  const values = new Map<string, Buffer>();
  const failIfTold = (): void => {
    if (level.fault !== undefined) throw level.fault;
  };
  const level: MapLevel = {
    ...{ name, values, refused: [], fault: undefined, asked: 0 },
    async find(key) {
      level.asked += 1;
      failIfTold();
      return await Promise.resolve(values.get(key));
    },
    offer: (key, value) => void values.set(key, value),
    async remove(key) {
      failIfTold();
      values.delete(key);
      await Promise.resolve();
    },
    async refuse(key) {
      level.refused.push(key);
      values.delete(key);
      await Promise.resolve();
    },
    content: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return level;
}

async function* piecesOf(value: Buffer): AsyncGenerator<Buffer> {
  for (const byte of value) yield await Promise.resolve(Buffer.of(byte));
}

function start(): {
  readonly cache: Cache;
  readonly redis: MapLevel;
  readonly http: MapLevel;
  readonly store: Map<string, Buffer>;
  readonly reads: string[];
  readonly notes: (string | undefined)[];
} {
  const uses = createFrequencySketch(64);
  const memory = createMemoryLevel({ maxBytes: 100_000, uses });
  const [redis, http] = [mapLevel('redis'), mapLevel('http')];
  http.offer = () => undefined;
  const store = new Map([['a', Buffer.from('value')]]);
  const reads: string[] = [];
  const notes: (string | undefined)[] = [];
  const note = (_level: Level, fault: unknown): void =>
    void notes.push(fault instanceof Error ? String(fault) : undefined);
  const cache = createCache({
    ...{ memory, uses, levels: [memory, redis, http].map((level) => watchLevel(level, note)) },
    async source(key) {
      reads.push(key);
      const value = store.get(key);
      if (value === undefined) throw new Error('not found');
      return await Promise.resolve({ sizeBytes: value.length, body: piecesOf(value) });
    },
  });
  return { cache, redis, http, store, reads, notes };
}

test('a value of the store goes to the levels that missed it, and the nearest one has it next time', async () => {
  const { cache, redis, http, reads } = start();
  expect(String(await cache.get('a', { signal }))).toBe('value');
  expect(String(await cache.get('a', { signal }))).toBe('value');
  expect([reads, redis.asked, http.asked, [...redis.values.keys()]]).toEqual([['a'], 1, 1, ['a']]);
  expect(cache.figures()).toMatchObject({
    ...{ sourceReads: 1, sourceBytes: 5 },
    levels: [
      { level: 'memory', hits: 1, hitBytes: 5, misses: 1, content: { entries: 1 } },
      { level: 'redis', hits: 0, misses: 1 },
      { level: 'http', hits: 0, misses: 1 },
    ],
  });
});

test('a value of a level goes to those before it only', async () => {
  const { cache, redis, http, reads } = start();
  http.values.set('a', Buffer.from('there'));
  expect(String(await cache.get('a', { signal }))).toBe('there');
  expect([String(redis.values.get('a')), reads]).toEqual(['there', []]);
});

test('what the store does not have is asked for again each time', async () => {
  const { cache, reads, store } = start();
  await expect(cache.get('b', { signal })).rejects.toThrow('not found');
  store.set('b', Buffer.from('new'));
  expect(String(await cache.get('b', { signal }))).toBe('new');
  expect(reads).toEqual(['b', 'b']);
});

test('a wrong value is removed everywhere, read from the store, and counted for the level that gave it', async () => {
  const { cache, redis, http, reads } = start();
  redis.values.set('a', Buffer.from('wrong'));
  expect(String(await cache.get('a', { signal }))).toBe('wrong');
  expect(String(await cache.get('a', { signal, fresh: true }))).toBe('value');
  expect([redis.refused, http.refused, [...redis.values]]).toEqual([['a'], [], []]);
  const [memory, ofRedis] = cache.figures().levels;
  expect([memory?.wrong, memory?.content?.entries, ofRedis?.wrong]).toEqual([0, 0, 1]);
  expect(reads).toEqual(['a']);
});

test('a level that gives wrong values again and again is not asked for a while', async () => {
  const { cache, redis, notes } = start();
  for (let turn = 0; turn < 4; turn++) {
    redis.values.set(`w${turn}`, Buffer.from('wrong'));
    await cache.get(`w${turn}`, { signal });
    await cache.get(`w${turn}`, { signal, fresh: true }).catch(() => undefined);
  }
  expect(cache.figures().levels[1]).toMatchObject({ wrong: 4, state: 'resting' });
  const { asked } = redis;
  await cache.get('a', { signal });
  expect([redis.asked, cache.figures().levels[1]?.skipped]).toEqual([asked, 1]);
  expect(notes).toEqual([expect.stringContaining('not what was written')]);
});

test('a level that does not work is skipped after three reads, one that is slow after one', async () => {
  const { cache, redis, http, notes } = start();
  redis.fault = new Error('refused');
  http.fault = new SlowLevelError('slow');
  for (const key of ['a', 'b', 'c', 'd', 'e']) await cache.get(key, { signal }).catch(() => undefined);
  expect([redis.asked, http.asked]).toEqual([3, 1]);
  expect(cache.figures().levels.slice(1)).toMatchObject([
    { errors: 3, skipped: 2, state: 'resting' },
    { errors: 1, skipped: 4, state: 'resting' },
  ]);
  expect(notes).toEqual(['SlowLevelError: slow', 'Error: refused']);
});

test('a deleted object leaves the levels, also while one of them is away', async () => {
  const { cache, redis, store } = start();
  await cache.get('a', { signal });
  store.delete('a');
  await cache.delete('a');
  expect([...redis.values]).toEqual([]);
  await expect(cache.get('a', { signal })).rejects.toThrow('not found');
  redis.fault = new Error('refused');
  await cache.delete('a');
});

test('a value that was read ahead is in memory, and nobody hears of a fault', async () => {
  const { cache, reads } = start();
  await cache.readAhead('a', signal);
  await cache.readAhead('a', signal);
  await cache.readAhead('none', signal);
  await cache.get('a', { signal });
  expect([reads, cache.figures().ahead]).toEqual([['a', 'none'], 1]);
});

test('readers at the same time share one read', async () => {
  const { cache, reads } = start();
  await Promise.all(Array.from({ length: 50 }, () => cache.get('a', { signal })));
  expect([reads, cache.figures().shared]).toEqual([['a'], 49]);
});

test('all readers get a value before it is whole', async () => {
  const { cache } = start();
  const sizes: number[] = [];
  const readers = Array.from({ length: 3 }, async () => {
    const pieces: string[] = [];
    let passed: Promise<void> | undefined;
    const onArrival = (value: ArrivingValue): void => {
      sizes.push(value.sizeBytes);
      passed = (async () => {
        for await (const piece of value.pieces()) pieces.push(String(piece));
      })();
    };
    const whole = await cache.get('a', { signal, onArrival });
    await passed;
    return [String(whole), pieces.join(''), pieces.length > 1];
  });
  expect(await Promise.all(readers)).toEqual(Array.from({ length: 3 }, () => ['value', 'value', true]));
  expect(sizes).toEqual([5, 5, 5]);
});

test('a value in memory comes as a whole', async () => {
  const { cache } = start();
  await cache.get('a', { signal });
  let isEarly = false;
  await cache.get('a', { signal, onArrival: () => (isEarly = true) });
  expect(isEarly).toBe(false);
});
