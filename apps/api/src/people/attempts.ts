import { addressGroup, SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';

/** Failures that are free at once, and the time after which one more is. */
interface Allowance {
  readonly burst: number;
  readonly refillMs: number;
}

const ofAddress: Allowance = { burst: 10, refillMs: 6000 };
/** Addresses that are counted one by one. When there are more, the others share one count, which nobody fills for long. */
const addressesMax = 10_000;
const ofOthers: Allowance = { burst: 1000, refillMs: 20 };

/** Limits how often each address may fail: wrong answers of a sign-in, wrong codes of devices. */
export interface Attempts {
  /** Throws `limit_exceeded` for an address that has failed too often. */
  check(address: string): void;
  /** Whether `check` throws nothing. */
  allows(address: string): boolean;
  fail(address: string): void;
  /** The number of counted addresses. */
  readonly size: number;
}

/** `what` names the action in the error. */
export function createAttempts(clock: Clock, what: string): Attempts {
  // When the last failure of an address has been forgiven. An address without an entry has none.
  const clearAt = new Map<string, number>();
  const others = '';
  const allowanceOf = (name: string): Allowance => (name === others ? ofOthers : ofAddress);
  const nameOf = (address: string): string => {
    const group = addressGroup(address);
    return clearAt.has(group) || clearAt.size < addressesMax ? group : others;
  };
  const forget = (now: number): void => {
    for (const [group, at] of clearAt) if (at <= now) clearAt.delete(group);
  };
  const allows: Attempts['allows'] = (address) => {
    const name = nameOf(address);
    const { burst, refillMs } = allowanceOf(name);
    return (clearAt.get(name) ?? 0) - clock.now() <= (burst - 1) * refillMs;
  };
  return {
    allows,
    get size() {
      return clearAt.size;
    },
    check(address) {
      if (!allows(address))
        throw new SoulBoxError('limit_exceeded', `Too many failed ${what} from this address. Retry in a minute.`);
    },
    fail(address) {
      const now = clock.now();
      if (clearAt.size >= addressesMax) forget(now);
      const name = nameOf(address);
      clearAt.set(name, Math.max(clearAt.get(name) ?? 0, now) + allowanceOf(name).refillMs);
    },
  };
}
