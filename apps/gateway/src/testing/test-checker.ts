import { SoulBoxError } from '@soulbox/base';
import {
  canonicalHost,
  findLimitFault,
  isSignedWith,
  parseSignedRequest,
  signedTarget,
} from '@soulbox/contract/signed-url';
import type { Grant } from '@soulbox/contract/signed-url';
import type { SignedUrlCheck, SignedUrlChecker } from '@soulbox/contract/signed-url-service';

const key = Buffer.alloc(32, 3);

/** A control plane that knows one key and owns everything. */
export interface TestChecker extends SignedUrlChecker {
  readonly checked: SignedUrlCheck[];
  /** Set: every check fails with it. */
  failure: SoulBoxError | undefined;
  /** Ids of signing keys that have ended. */
  readonly endedKeys: Set<string>;
  /** Path and query of a URL that is signed for the host. */
  sign(
    host: string,
    url: { method?: string; path?: string; own?: readonly (readonly [string, string])[]; grant?: Partial<Grant> },
  ): string;
}

export function createTestChecker(): TestChecker {
  const checked: SignedUrlCheck[] = [];
  const checker: TestChecker = {
    checked,
    failure: undefined,
    endedKeys: new Set(),
    async findEnded(signers) {
      if (checker.failure !== undefined) throw checker.failure;
      return await Promise.resolve(signers.filter(({ keyId }) => checker.endedKeys.has(keyId)));
    },
    sign: (host, { method = 'GET', path = '/', own = [], grant = {} }) =>
      signedTarget({ method, host: canonicalHost(host) ?? '', path, own, grant: { ...plainGrant, ...grant } }, key),
    async check(request) {
      checked.push(request);
      if (checker.failure !== undefined) throw checker.failure;
      const parsed = parseSignedRequest(request);
      if (parsed.kind !== 'signed' || !isSignedWith(parsed.request, key))
        throw new SoulBoxError('unauthorized', 'Unauthorized, the signature of the URL is not valid.');
      const fault = findLimitFault(parsed.request.grant, request.facts);
      if (fault !== undefined) throw fault;
      await Promise.resolve();
    },
  };
  return checker;
}

const plainGrant: Grant = {
  keyId: 'sabcdefghijkl',
  signerId: '123e4567-e89b-12d3-a456-426614174000',
  expiresAt: 4_000_000_000,
  nonce: 'AAECAwQFBgcICQoLDA0ODw',
  once: false,
};
