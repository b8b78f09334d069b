import { addressGroup } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { isFileSignature } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter, SignedFileRequest } from '@soulbox/contract';

/** Linux's longest path, and more than a name of a user may have. What is longer names no file. */
const pathBytesMax = 4096;
const usernameCharsMax = 256;
const expirationCharsMax = 20;

/**
 * Tokens that are tried each second, and at once after a pause: by all searches, and by those of one address. A token takes 2 to 4 µs, so all
 * searches together take a tenth of the event loop, and a host with 100 sandboxes answers 300 of them a second.
 */
const tokensPerSecond = 30_000;
const addressTokensPerSecond = 15_000;
/** Addresses that are remembered; who has not asked for a second owes nothing. */
const addressesMax = 10_000;

/**
 * Finds the sandbox of a signed URL that names none. A signature is a hash over the sandbox's token, so there is no index by it:
 * each token is tried. What that costs is bounded here.
 */
export interface SignatureSearch {
  /** `later`: too many tokens were tried just now. */
  find(signed: { file: SignedFileRequest; signature: string }, address: string): SandboxRoute | 'none' | 'later';
}

export function createSignatureSearch(router: SandboxRouter, clock: Clock): SignatureSearch {
  const all = createBudget(tokensPerSecond, clock);
  const addresses = new Map<string, Budget>();

  const budgetOf = (address: string): Budget => {
    const name = addressGroup(address);
    const budget = addresses.get(name) ?? createBudget(addressTokensPerSecond, clock);
    // The least recent comes first.
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
  /** May spend more than there is: a search is done whole or not at all. */
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
