import type { Arrival } from './arrival.ts';

/** From the nearest one on. */
export const levelNames = ['memory', 'redis', 'http'] as const;
export type LevelName = (typeof levelNames)[number];

/** One place where values may be. Values are never changed by anybody who has them. */
export interface Level extends AsyncDisposable {
  readonly name: LevelName;
  /**
   * Undefined: it is not there. Throws if the level does not work: a `SlowLevelError` if it took too long. Never waits
   * longer than the small limits of the level. A level that gets a value in parts gives them to `arrival` as well.
   */
  find(key: string, signal: AbortSignal, arrival?: Arrival): Promise<Buffer | undefined>;
  /** Gives it a value that was read elsewhere. The level decides whether it takes it; the caller does not wait. */
  offer(key: string, value: Buffer): void;
  /** Throws if the level does not work. Then the value leaves it by its time to live. */
  remove(key: string): Promise<void>;
  /** The value that it has given was wrong. */
  refuse(key: string): Promise<void>;
  /** What it holds; only the level in memory knows. */
  content(): LevelContent | undefined;
}

export interface LevelContent {
  readonly bytes: number;
  readonly maxBytes: number;
  readonly entries: number;
  /** Since the start. */
  readonly evictions: number;
}

/** Since the start of the process. */
export interface LevelFigures {
  readonly level: LevelName;
  readonly hits: number;
  readonly hitBytes: number;
  readonly misses: number;
  /** Reads for which the level did not work or was too slow. */
  readonly errors: number;
  /** Reads that did not ask it, because it did not work before. */
  readonly skipped: number;
  /** Values of it that their reader has refused. */
  readonly wrong: number;
  /** `resting`: it is not asked for a while, because it did not work. */
  readonly state: 'working' | 'resting';
  readonly content?: LevelContent | undefined;
}

/** The level did not answer within its limits. One is enough to stop asking for a while. */
export class SlowLevelError extends Error {
  override readonly name = 'SlowLevelError';
}
