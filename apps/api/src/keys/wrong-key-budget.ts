import type { Clock } from '@soulbox/base';

/**
 * Wrong keys that get 401 immediately, and the number that is added per second. A key has 160 random bits, so this
 * limit only reduces noise.
 */
const burst = 200;
const perSecond = 50;

/** Limits how often the whole server reports a wrong key. Valid keys are not counted, so nobody can lock others out. */
export interface WrongKeyBudget {
  /** False when the budget is used up. The caller then responds with 429 instead of 401. */
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
