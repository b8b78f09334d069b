import { addressGroup } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { createAddressBudgets } from '../routing/budget.ts';

/** Checks of signed URLs that wait for the control plane at the same time: of one address, and of all. */
const addressMax = 100;
const totalMax = 1000;
/** Wrong signatures of an address per second, and at once after a pause. More are refused without a check. */
const wrongPerSecond = 100;

/** A check in progress, until it is disposed. */
export interface CheckEntry extends Disposable {
  /** The signature was wrong. */
  noteWrong(): void;
}

/** Limits how much of the control plane strangers can use with signed URLs. */
export interface CheckLimit {
  /** Undefined if there are too many checks, or were too many wrong signatures. */
  enter(address: string): CheckEntry | undefined;
}

export function createCheckLimit(clock: Clock): CheckLimit {
  const counts = new Map<string, number>();
  const budgetOf = createAddressBudgets(wrongPerSecond, clock);
  let total = 0;
  return {
    enter(address) {
      const group = addressGroup(address);
      const count = counts.get(group) ?? 0;
      const wrong = budgetOf(address);
      if (count >= addressMax || total >= totalMax || wrong.isSpent()) return undefined;
      counts.set(group, count + 1);
      total += 1;
      return {
        noteWrong: () => wrong.spend(1),
        [Symbol.dispose]() {
          total -= 1;
          const left = (counts.get(group) ?? 0) - 1;
          if (left > 0) counts.set(group, left);
          else counts.delete(group);
        },
      };
    },
  };
}
