import { hash } from 'node:crypto';
import { addressGroup } from '@soulbox/base';
import type { Clock } from '@soulbox/base';

/** Wrong keys of one address (IPv6: one /64) that are looked up at once, and the number that is added per second. */
const ofAddress = { burst: 100, perSecond: 1 };
/** The same for wrong keys that begin as one key does, from all addresses together. */
const ofPrefix = { burst: 20, perSecond: 0.2 };
/** Addresses, prefixes, and keys that were right. The least recently used is forgotten. */
const keptMax = 10_000;
/** Characters of a presented key that count as its prefix: `e2b_` and the public part. */
const prefixLength = 12;

interface Attempt {
  readonly address: string;
  /** As presented; any text. */
  readonly key: string;
}

/**
 * Slows down guessing of API keys. While an address has used up its attempts, its keys are not even looked up, except
 * for those that were right from there before. So nobody can lock out a key that others use: neither from another
 * address nor from behind the same one.
 */
export interface SignInThrottle {
  /** Undefined if the key may be looked up; otherwise the seconds to wait. */
  check(attempt: Attempt): number | undefined;
  succeeded(attempt: Attempt): void;
  failed(attempt: Attempt): void;
}

interface Bucket {
  left: number;
  filledAt: number;
}

export function createSignInThrottle(clock: Clock): SignInThrottle {
  const addresses = new Map<string, Bucket>();
  const prefixes = new Map<string, Bucket>();
  const right = new Map<string, true>();

  /** Undefined: nothing failed lately. */
  const fill = (bucket: Bucket | undefined, { burst, perSecond }: typeof ofAddress): Bucket | undefined => {
    if (bucket === undefined) return undefined;
    const now = clock.now();
    bucket.left = Math.min(burst, bucket.left + (Math.max(0, now - bucket.filledAt) / 1000) * perSecond);
    bucket.filledAt = now;
    return bucket.left >= burst ? undefined : bucket;
  };
  const spend = (buckets: Map<string, Bucket>, name: string, rate: typeof ofAddress): void => {
    const bucket = fill(buckets.get(name), rate) ?? { left: rate.burst, filledAt: clock.now() };
    bucket.left = Math.max(0, bucket.left - 1);
    keep(buckets, name, bucket);
  };
  const waitOf = (bucket: Bucket | undefined, { perSecond }: typeof ofAddress): number | undefined =>
    bucket === undefined || bucket.left >= 1 ? undefined : Math.max(1, Math.ceil((1 - bucket.left) / perSecond));

  return {
    check({ address, key }) {
      const group = addressGroup(address);
      const own = fill(addresses.get(group), ofAddress);
      if (own === undefined || right.has(rightName(group, key))) return undefined;
      // Attempts at one key from many addresses: each address has one, then it waits with the others.
      const shared = fill(prefixes.get(key.slice(0, prefixLength)), ofPrefix);
      return waitOf(own, ofAddress) ?? waitOf(shared, ofPrefix);
    },
    succeeded({ address, key }) {
      keep(right, rightName(addressGroup(address), key), true);
    },
    failed({ address, key }) {
      spend(addresses, addressGroup(address), ofAddress);
      spend(prefixes, key.slice(0, prefixLength), ofPrefix);
    },
  };
}

/** No key is kept in memory. */
const rightName = (group: string, key: string): string => `${hash('sha256', key)} ${group}`;

function keep<T>(kept: Map<string, T>, name: string, value: T): void {
  kept.delete(name);
  kept.set(name, value);
  if (kept.size <= keptMax) return;
  const [oldest] = kept.keys();
  if (oldest !== undefined) kept.delete(oldest);
}
