import type { Clock } from '@soulbox/base';
import { isFileSignature } from '@soulbox/contract';
import type { SandboxRoute, SandboxRouter, SignedFileRequest } from '@soulbox/contract';
import { createAddressBudgets, createBudget } from './budget.ts';

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
  const budgetOf = createAddressBudgets(addressTokensPerSecond, clock);

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
