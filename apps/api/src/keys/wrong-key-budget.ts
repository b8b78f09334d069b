import type { Clock } from '@soulbox/base';

/** Wrong keys answered as such at once, and how many more each second. A key has 160 random bits: this only bounds noise. */
const burst = 200;
const perSecond = 50;

/** Bounds how fast the whole server says "wrong key". Right keys never pass here, so nobody can lock others out. */
export interface WrongKeyBudget {
  /** False when the budget is used up; the caller then answers 429 instead of 401. */
  spend(): boolean;
}

export function createWrongKeyBudget(clock: Clock): WrongKeyBudget {
  let left = burst;
  let filledAt = clock.now();
  return {
    spend: () => {
      const now = clock.now();
      left = Math.min(burst, left + (Math.max(0, now - filledAt) / 1000) * perSecond);
      filledAt = now;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
