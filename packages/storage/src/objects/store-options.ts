import type { RetryPolicy } from '@soulbox/client';

/** Limits of an object store. All have defaults; tests set lower ones. */
export interface StoreLimits {
  /** Of each call, and of each part of an upload or download. */
  readonly retries: RetryPolicy;
  /** The time limit of an attempt. Those that send or receive bytes have more, by `slowestBytesPerSecond`. */
  readonly attemptMs: number;
  /** Slower transfers count as broken. */
  readonly slowestBytesPerSecond: number;
  /** The size of the parts of an upload, which are held in memory. Larger for objects whose size is known to need it. */
  readonly partBytes: number;
  /** Attempts that a whole upload may lose, over all its parts. */
  readonly uploadFaults: number;
}

export const defaultStoreLimits: StoreLimits = {
  retries: { attempts: 8, initialDelayMs: 100, maxDelayMs: 10_000, budgetMs: 60_000, retryAfterMaxMs: 30_000 },
  attemptMs: 30_000,
  slowestBytesPerSecond: 64 * 1024,
  partBytes: 8 * 1024 * 1024,
  uploadFaults: 64,
};
