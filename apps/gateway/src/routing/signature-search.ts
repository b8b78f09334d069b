import { addressGroup } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { isFileSignature } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter, SignedFileRequest } from '@soulbox/contract';

/** Linux's longest path, and more than a user name may have. Longer values cannot name a file. */
const pathBytesMax = 4096;
const usernameCharsMax = 256;
const expirationCharsMax = 20;

/**
 * Tokens that are tried per second, and at once after a pause: by all searches, and by those of one address. A token
 * takes 2 to 4 µs, so all searches together take a tenth of the event loop, and a host with 100 sandboxes answers 300
 * searches per second.
 */
const tokensPerSecond = 30_000;
const addressTokensPerSecond = 15_000;
/** Addresses that are remembered. An address without a search for a second has its full budget again. */
const addressesMax = 10_000;

/**
 * Finds the sandbox of a signed URL that names none. A signature is a hash over the sandbox's token, so it cannot be
 * indexed: each token is tried. This interface limits that cost.
 */
export interface SignatureSearch {
  /** `later`: too many tokens were tried recently. */
  find(signed: { file: SignedFileRequest; signature: string }, address: string): SandboxRoute | 'none' | 'later';
}

export function createSignatureSearch(router: SandboxRouter, clock: Clock): SignatureSearch {
  const all = createBudget(tokensPerSecond, clock);
  const addresses = new Map<string, Budget>();

  const budgetOf = (address: string): Budget => {
    const name = addressGroup(address);
    const budget = addresses.get(name) ?? createBudget(addressTokensPerSecond, clock);
    // The least recent address comes first.
    addresses.delete(name);
    addresses.set(name, budget);
    const [oldest] = addresses.keys();
    if (addresses.size > addressesMax && oldest !== undefined) addresses.delete(oldest);
    return budget;
  };

  return {
    find({ file, signature }, address) {
      if (!isFileSignature(signature) || isTooLong(file)) return 'none';
      const own = budgetOf(address);
      if (own.isSpent() || all.isSpent()) return 'later';
      const tokens = router.signatureTokens();
      own.spend(tokens);
      all.spend(tokens);
      return router.findBySignature(file, signature) ?? 'none';
    },
  };
}

function isTooLong({ path, username, expiration = '' }: SignedFileRequest): boolean {
  return (
    Buffer.byteLength(path) > pathBytesMax ||
    username.length > usernameCharsMax ||
    expiration.length > expirationCharsMax
  );
}

interface Budget {
  isSpent(): boolean;
  /** May exceed the budget, because a search is done completely or not at all. */
  spend(tokens: number): void;
}

function createBudget(perSecond: number, clock: Clock): Budget {
  let left = perSecond;
  let filledAt = clock.now();
  return {
    isSpent() {
      const now = clock.now();
      left = Math.min(perSecond, left + (Math.max(0, now - filledAt) / 1000) * perSecond);
      filledAt = now;
      return left <= 0;
    },
    spend(tokens) {
      left -= tokens;
    },
  };
}
