import { addressGroup } from '@soulbox/base';
import type { Clock } from '@soulbox/base';

/** Addresses that are remembered. An address without a use for a second has its full budget again. */
const addressesMax = 10_000;

/** A number of uses per second. After a pause, that many can follow at once. */
export interface Budget {
  isSpent(): boolean;
  /** May exceed the budget, because the cost of a use can be known only afterwards. */
  spend(uses: number): void;
}

export function createBudget(perSecond: number, clock: Clock): Budget {
  let left = perSecond;
  let filledAt = clock.now();
  return {
    isSpent() {
      const now = clock.now();
      left = Math.min(perSecond, left + (Math.max(0, now - filledAt) / 1000) * perSecond);
      filledAt = now;
      return left <= 0;
    },
    spend(uses) {
      left -= uses;
    },
  };
}

/** A budget for each address or IPv6 network. */
export function createAddressBudgets(perSecond: number, clock: Clock): (address: string) => Budget {
  const budgets = new Map<string, Budget>();
  return (address) => {
    const name = addressGroup(address);
    const budget = budgets.get(name) ?? createBudget(perSecond, clock);
    // The least recent address comes first.
    budgets.delete(name);
    budgets.set(name, budget);
    const [oldest] = budgets.keys();
    if (budgets.size > addressesMax && oldest !== undefined) budgets.delete(oldest);
    return budget;
  };
}
