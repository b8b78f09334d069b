import type { Clock } from '@soulbox/base';

export interface Rate {
  /** Tokens that are added. Infinity: no limit. */
  readonly perSecond: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
}

/** A bucket of tokens for each id, in memory: a restart of the process fills all of them. */
export interface TokenBuckets {
  /**
   * Takes tokens, and returns 0; or takes nothing, and returns the whole seconds until there are enough. More than a full
   * bucket can be taken from a full one; it is then in debt. A changed rate applies at once.
   */
  take(id: string, rate: Rate, count?: number): number;
}

interface Bucket {
  tokens: number;
  filledAt: number;
}

export function createTokenBuckets(clock: Clock): TokenBuckets {
  const buckets = new Map<string, Bucket>();
  return {
    take: (id, { perSecond, burst }, count = 1) => {
      if (perSecond === Infinity) {
        buckets.delete(id);
        return 0;
      }
      const now = clock.now();
      const bucket = buckets.get(id) ?? { tokens: burst, filledAt: now };
      buckets.set(id, bucket);
      bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, now - bucket.filledAt) / 1000) * perSecond);
      bucket.filledAt = now;
      const missing = Math.min(count, burst) - bucket.tokens;
      // Sums of fractions are not exact.
      if (missing > 1e-9) return perSecond === 0 ? longestWaitSeconds : Math.max(1, Math.ceil(missing / perSecond));
      bucket.tokens -= count;
      return 0;
    },
  };
}

/** Of a rate of 0, which never gives a token. */
const longestWaitSeconds = 24 * 3600;
