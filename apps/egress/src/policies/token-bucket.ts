/** Allows `perSecond` units a second on average, and `burst` at once. */
export interface TokenBucket {
  /** Takes `count` if they are there. */
  tryTake(count: number): boolean;
  /** Takes `count` in any case. Returns the milliseconds until the debt is paid. */
  take(count: number): number;
}

export function createTokenBucket(
  perSecond: number,
  burst: number,
  now: () => number = performance.now.bind(performance),
): TokenBucket {
  let tokens = burst;
  let filledAt = now();
  const fill = (): void => {
    const at = now();
    tokens = Math.min(burst, tokens + ((at - filledAt) * perSecond) / 1000);
    filledAt = at;
  };
  return {
    tryTake(count) {
      fill();
      if (tokens < count) return false;
      tokens -= count;
      return true;
    },
    take(count) {
      fill();
      tokens -= count;
      return tokens >= 0 ? 0 : (-tokens * 1000) / perSecond;
    },
  };
}
