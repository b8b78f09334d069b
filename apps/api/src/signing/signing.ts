import { randomBytes } from 'node:crypto';
import { randomId, SoulBoxError } from '@soulbox/base';
import type { Clock, Secret } from '@soulbox/base';
import type { Scope } from '@soulbox/contract';
import { isSignedWith, signedTarget } from '@soulbox/contract/signed-url';
import type { Grant, SignedParts, SignedRequest } from '@soulbox/contract/signed-url';
import type { Records } from '@soulbox/storage';
import type { ApiConfig } from '../config.ts';
import type { WrongKeyBudget } from '../keys/wrong-key-budget.ts';
import type { Deed } from '../trail/deed.ts';
import type { Trail } from '../trail/trail.ts';
import type { Use } from '../trail/uses.ts';
import { getSigner, scopesOfSigner } from './signer.ts';
import type { Signer, SignerIds } from './signer.ts';
import { teamKey } from './team-keys.ts';

const nonceBytes = 16;
/**
 * How much longer a nonce is kept than its URL is accepted, so that a clock that is set back does not make a used URL
 * valid again. Milliseconds.
 */
const nonceMarginMs = 10 * 60_000;

/** What the holder of a key asks for. */
export interface Wanted extends Omit<SignedParts, 'grant'> {
  readonly expiresInSeconds: number;
  readonly limits: Pick<Grant, 'maxBytes' | 'contentType' | 'prefix' | 'filePrefix' | 'addresses'>;
  readonly once: boolean;
}

export interface Signed {
  /** Path and query. */
  readonly target: string;
  readonly keyId: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** What a signed URL is used for, and by whom. */
export interface UseOf {
  readonly target: Deed['target'];
  readonly source: NonNullable<Deed['source']>;
}

/** Signs URLs for a team and checks them. */
export interface Signing {
  /** Throws `bad_request` for a lifetime that is too long, and `limit_exceeded` if the team has no room for a nonce. */
  sign(by: { readonly teamId: string; readonly signerId: string }, wanted: Wanted): Promise<Signed>;
  /** Checks signature, key and end of a request. Throws `unauthorized`, and `limit_exceeded` after too many faults. */
  verify(request: SignedRequest): Promise<Signer>;
  /**
   * Why a request in progress may not continue: a key behind its URL has ended, or its signer has lost one of these
   * scopes.
   * Undefined: it may. The end of the URL itself is no reason.
   */
  findEnd(ids: SignerIds, scopes: readonly Scope[]): Promise<SoulBoxError | undefined>;
  /**
   * Records the use of a URL: of a one-time URL together with its audit record, of any other by a count. Call it last:
   * afterwards a one-time URL is used. Throws `signed_url_used`, `limit_exceeded` if the team has too many used URLs that
   * have not expired, and for one-time URLs `audit_log_full` and `audit_unavailable`.
   */
  use(request: SignedRequest, signer: Signer, of: UseOf): Promise<void>;
}

export function createSigning(parts: {
  readonly config: ApiConfig;
  readonly records: Records;
  readonly clock: Clock;
  readonly wrongKeys: WrongKeyBudget;
  readonly trail: Trail;
  /** The secret of the server, from which the keys of all teams are derived. */
  readonly root: Secret;
}): Signing {
  const { config, records, clock, wrongKeys, trail, root } = parts;
  const { signedUrlMaxSeconds, signedUrlSkewSeconds, teamNonceLimit } = config;

  const isWrong = (): SoulBoxError =>
    wrongKeys.spend()
      ? new SoulBoxError('unauthorized', 'Unauthorized, the signature of the URL is not valid.')
      : new SoulBoxError('limit_exceeded', 'Too many wrong signatures. Retry later.');

  const storeIsFull = (): SoulBoxError =>
    new SoulBoxError(
      'limit_exceeded',
      `The team has ${teamNonceLimit} used one-time URLs that have not expired. Retry when some have.`,
    );

  return {
    async sign({ teamId, signerId }, { expiresInSeconds, limits, once, ...request }) {
      if (expiresInSeconds > signedUrlMaxSeconds)
        throw new SoulBoxError('bad_request', `A signed URL may be valid for at most ${signedUrlMaxSeconds} s.`);
      if (once && (await records.usedNonces.count(teamId)) >= teamNonceLimit) throw storeIsFull();
      const now = clock.now();
      const wantedKey = { id: `s${randomId(12)}`, teamId, createdAt: now };
      const key = await records.signingKeys.ensureActive(wantedKey);
      const expiresAt = Math.floor(now / 1000) + expiresInSeconds;
      const nonce = randomBytes(nonceBytes).toString('base64url');
      const grant = { ...limits, keyId: key.id, signerId, expiresAt, nonce, once };
      return {
        target: signedTarget({ ...request, grant }, teamKey(root, key)),
        keyId: key.id,
        expiresAt: expiresAt * 1000,
      };
    },

    async verify(request) {
      const { grant } = request;
      const key = await records.signingKeys.find(grant.keyId);
      if (key === undefined || !isSignedWith(request, teamKey(root, key))) throw isWrong();
      if (clock.now() >= (grant.expiresAt + signedUrlSkewSeconds) * 1000)
        throw new SoulBoxError('unauthorized', 'Unauthorized, the signed URL has expired.');
      return await getSigner(key, grant, parts);
    },

    async findEnd(ids, scopes) {
      try {
        const has = scopesOfSigner(await getSigner(await records.signingKeys.find(ids.keyId), ids, parts));
        if (scopes.every((scope) => has.includes(scope))) return undefined;
        return new SoulBoxError('unauthorized', 'Unauthorized, the signer of the URL may no longer do this.');
      } catch (error) {
        if (error instanceof SoulBoxError && error.reason === 'unauthorized') return error;
        throw error;
      }
    },

    async use({ grant }, { team, by }, { target, source }) {
      const teamId = team.id;
      const success = { status: 'success', code: 0 } as const;
      const deed: Omit<Use, 'result'> = {
        ...{ teamId, action: 'signed-url.use', class: 'security', scope: 'url', rule: 'signature', target },
        actor: by.kind === 'key' ? { kind: 'key', id: by.apiKey.id } : { kind: 'user', id: by.userId },
      };
      if (!grant.once) {
        trail.recordUse({ ...deed, result: success });
        return;
      }
      await trail.checkRoom(teamId);
      // Whoever has the link may use it, so the source is not that of the signer.
      const used = { ...deed, source, subject: grant.keyId, facts: { signingKeyId: grant.keyId, once: true } };
      const note = await trail.note(used, success);
      const keptUntil = (grant.expiresAt + signedUrlSkewSeconds) * 1000 + nonceMarginMs;
      const nonce = { teamId, nonce: grant.nonce, keptUntil };
      const result = await records.usedNonces.use(nonce, clock.now(), teamNonceLimit, note());
      if (result === 'full') throw storeIsFull();
      if (result !== 'replayed') return;
      trail.recordUse({ ...deed, result: { status: 'failure', code: 0 } });
      throw new SoulBoxError('signed_url_used', 'The signed URL was already used.');
    },
  };
}
