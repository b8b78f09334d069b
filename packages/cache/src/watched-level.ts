import type { Arrival } from './arrival.ts';
import { createBreaker } from './breaker.ts';
import type { Breaker } from './breaker.ts';
import { SlowLevelError } from './level.ts';
import type { Level, LevelFigures } from './level.ts';

/** A level that gives more wrong values than right ones is not asked for this time. Milliseconds. */
const distrustMs = 60_000;
const wrongMax = 4;
/** So many right values make up for a wrong one. */
const rightPerWrong = 16;

/** A level that never fails: it is skipped while it does not work. */
export interface WatchedLevel {
  readonly level: Level;
  find(key: string, signal: AbortSignal, arrival?: Arrival): Promise<Buffer | undefined>;
  remove(key: string): Promise<void>;
  /** Its value was wrong. After several of them it is not asked for a while. */
  refuse(key: string): Promise<void>;
  figures(): LevelFigures;
}

/** `note` gets each fault that begins or ends a rest. */
export function watchLevel(
  level: Level,
  note: (level: Level, fault: unknown) => void,
  breaker: Breaker = createBreaker(),
): WatchedLevel {
  const counts = { hits: 0, hitBytes: 0, misses: 0, errors: 0, skipped: 0, wrong: 0 };
  let distrust = 0;
  const failed = (fault: unknown, grave: boolean): void => {
    const rested = breaker.isResting();
    breaker.failed(grave);
    if (!rested && breaker.isResting()) note(level, fault);
  };
  const succeeded = (): void => {
    const rested = breaker.isResting();
    breaker.succeeded();
    if (rested && !breaker.isResting()) note(level, undefined);
  };
  const quietly = async (work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch {
      // It leaves by its time to live, and nobody believes a value that was not authenticated.
      counts.errors += 1;
    }
  };
  return {
    level,
    async find(key, signal, arrival) {
      if (!breaker.mayTry()) {
        counts.skipped += 1;
        return undefined;
      }
      try {
        const value = await level.find(key, signal, arrival);
        succeeded();
        if (value === undefined) counts.misses += 1;
        else {
          counts.hits += 1;
          distrust = Math.max(0, distrust - 1 / rightPerWrong);
          counts.hitBytes += value.length;
        }
        return value;
      } catch (fault) {
        if (signal.aborted) breaker.unknown();
        else {
          counts.errors += 1;
          failed(fault, fault instanceof SlowLevelError);
        }
        signal.throwIfAborted();
        return undefined;
      }
    },
    remove: async (key) => await quietly(level.remove(key)),
    async refuse(key) {
      counts.wrong += 1;
      // It was counted as a right one before.
      distrust += 1 + 1 / rightPerWrong;
      if (distrust >= wrongMax) {
        // One more begins the next rest.
        distrust = wrongMax - 1;
        if (!breaker.isResting()) note(level, new Error('Its values are not what was written.'));
        breaker.rest(distrustMs);
      }
      await quietly(level.refuse(key));
    },
    figures() {
      const content = level.content();
      return {
        ...{ level: level.name, ...counts, state: breaker.isResting() ? 'resting' : 'working' },
        ...(content === undefined ? {} : { content }),
      };
    },
  };
}
