import { createArrival } from './arrival.ts';
import type { Arrival, ArrivingValue } from './arrival.ts';
import { createRecentKeys } from './recent-keys.ts';
import { createSingleFlight } from './single-flight.ts';
import type { FrequencySketch } from './frequency-sketch.ts';
import type { LevelFigures, LevelName } from './level.ts';
import type { MemoryLevel } from './memory-level.ts';
import type { WatchedLevel } from './watched-level.ts';

/** Where everything is. Throws what the caller of the cache gets. */
export type Source = (key: string, signal: AbortSignal) => Promise<SentValue>;

export interface SentValue {
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface GetOptions {
  readonly signal: AbortSignal;
  /** The value that the cache has given was wrong, so it is removed everywhere and read from the source. */
  readonly fresh?: boolean;
  /** Gets the value before it is whole. Not called for one that is in memory or in Redis. */
  readonly onArrival?: ((value: ArrivingValue) => void) | undefined;
}

export interface CacheOptions {
  readonly memory: MemoryLevel | undefined;
  /** From the nearest one on, each with its figures. That of `memory` is among them. */
  readonly levels: readonly WatchedLevel[];
  readonly source: Source;
  readonly uses: FrequencySketch;
}

export interface CacheFigures {
  readonly levels: readonly LevelFigures[];
  /** Values that no level had. */
  readonly sourceReads: number;
  readonly sourceBytes: number;
  /** Reads that waited for another one of the same key. */
  readonly shared: number;
  /** Values that were read before somebody asked for them. */
  readonly ahead: number;
}

/**
 * Values that never change, under keys that are never used again. Their readers authenticate them. So a level can lose a
 * value or give a wrong one, and nothing has to be told to it when something changes.
 */
export interface Cache extends AsyncDisposable {
  /** The value of the nearest level that has it, otherwise that of the source. It must not be changed. */
  get(key: string, options: GetOptions): Promise<Buffer>;
  /** Reads a value into the memory, where it stays until it was asked for or others need the room. Faults are ignored. */
  readAhead(key: string, signal: AbortSignal): Promise<void>;
  /** The value was deleted from the source. */
  delete(key: string): Promise<void>;
  figures(): CacheFigures;
}

/** Of values that readers may still refuse: which level they came from. */
const deliveriesMax = 4096;

type Origin = LevelName | 'source';

interface Found {
  readonly value: Buffer;
  readonly origin: Origin;
}

export function createCache({ memory, levels, source, uses }: CacheOptions): Cache {
  const flights = createSingleFlight<Found>();
  /** Where a value in memory came from: a wrong one is the fault of that level. */
  const origins = createRecentKeys<Origin>(deliveriesMax);
  const counts = { sourceReads: 0, sourceBytes: 0, gets: 0, attempts: 0, ahead: 0 };
  const fromSource = async (key: string, signal: AbortSignal, arrival: Arrival): Promise<Found> => {
    const { sizeBytes, body } = await source(key, signal);
    const receiver = arrival.begin(sizeBytes);
    for await (const piece of body) receiver.take(piece);
    const value = receiver.whole();
    counts.sourceReads += 1;
    counts.sourceBytes += value.length;
    return { value, origin: 'source' };
  };
  const find = async (key: string, signal: AbortSignal, arrival: Arrival): Promise<Found> => {
    const missed: WatchedLevel[] = [];
    for (const watched of levels) {
      const value = await watched.find(key, signal, arrival);
      if (value !== undefined) return offered({ value, origin: watched.level.name }, missed, key);
      missed.push(watched);
    }
    return offered(await fromSource(key, signal, arrival), missed, key);
  };
  const offered = (found: Found, missed: readonly WatchedLevel[], key: string): Found => {
    if (found.origin !== 'memory') origins.add(key, found.origin);
    for (const { level } of missed) level.offer(key, found.value);
    return found;
  };
  const refuse = async (key: string): Promise<void> => {
    const origin = origins.find(key);
    origins.delete(key);
    await Promise.all(
      levels.map(async (watched) => await (watched.level.name === origin ? watched.refuse(key) : watched.remove(key))),
    );
  };
  return {
    async get(key, { signal, fresh = false, onArrival }) {
      if (fresh) {
        await refuse(key);
        // Not shared with readers of the wrong value.
        const arrival = createArrival();
        if (onArrival !== undefined) arrival.onBegin(onArrival);
        try {
          return (await fromSource(key, signal, arrival)).value;
        } catch (fault) {
          arrival.fail(fault as Error);
          throw fault;
        }
      }
      uses.note(key);
      counts.gets += 1;
      const attempt = async (either: AbortSignal, arrival: Arrival): Promise<Found> => {
        counts.attempts += 1;
        return await find(key, either, arrival);
      };
      return (await flights.run(key, signal, attempt, onArrival)).value;
    },
    async readAhead(key, signal) {
      if (memory === undefined || memory.has(key)) return;
      try {
        const { value } = await flights.run(key, signal, async (...of) => await find(key, ...of));
        memory.take(key, value);
        counts.ahead += 1;
      } catch {
        // Whoever asks for it gets the fault.
      }
    },
    async delete(key) {
      await Promise.all(levels.map(async (watched) => await watched.remove(key)));
    },
    figures() {
      const { sourceReads, sourceBytes, ahead, gets, attempts } = counts;
      const ofLevels = levels.map((watched) => watched.figures());
      return { levels: ofLevels, sourceReads, sourceBytes, shared: gets - attempts, ahead };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(levels.map(async ({ level }) => await level[Symbol.asyncDispose]()));
    },
  };
}
