import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { isProtected } from '../sign-in-config.ts';
import { boundedFetch } from './bounded-fetch.ts';

/** What the provider says has ended (OpenID Connect Back-Channel Logout 1.0). At least one of the two is not empty. */
export interface Logout {
  readonly subject: string;
  readonly providerSid: string;
}

/** Checks the tokens with which the provider tells that sessions have ended. */
export interface LogoutTokens {
  /** Throws `bad_request`, `limit_exceeded` and `provider_unavailable`. A token is accepted once. */
  redeem(token: string): Promise<Logout>;
}

export interface LogoutTokenParts {
  readonly issuer: string;
  readonly clientId: string;
  /** Where the provider has its keys. Throws `provider_unavailable`. */
  readonly findKeysUrl: () => Promise<string | undefined>;
  readonly clock: Clock;
}

/** Public keys only: a secret that both sides know would let this server forge tokens of the provider. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const eventName = 'http://schemas.openid.net/event/backchannel-logout';
/** A token counts for this long after it was made, and for the difference of the clocks. */
const ageSeconds = 120;
const skewSeconds = 30;
const idForm = /^[\x20-\x7e]{1,255}$/;
/** Used tokens that are remembered until they no longer count. Only the provider can make any. */
const usedMax = 10_000;

export function createLogoutTokens({ issuer, clientId, findKeysUrl, clock }: LogoutTokenParts): LogoutTokens {
  const used = new Map<string, number>();
  let keys: { readonly url: string; readonly get: JWTVerifyGetKey } | undefined;

  const getKeys = async (): Promise<JWTVerifyGetKey> => {
    const url = await findKeysUrl();
    if (url === undefined || !URL.canParse(url) || !isProtected(url))
      throw new SoulBoxError('provider_unavailable', 'The identity provider has no valid keys.');
    // The set is kept: it asks the provider for an unknown key at most twice a minute.
    if (keys?.url !== url)
      keys = {
        url,
        get: createRemoteJWKSet(new URL(url), {
          [customFetch]: async (from: string) =>
            await boundedFetch(from, { method: 'GET', headers: { accept: 'application/json' } }),
        }),
      };
    return keys.get;
  };
  const use = (jti: string): void => {
    const now = clock.now();
    for (const [id, until] of used) if (until <= now) used.delete(id);
    if (used.has(jti)) throw refused('was already used');
    if (used.size >= usedMax) throw new SoulBoxError('limit_exceeded', 'Too many logout tokens. Retry in a minute.');
    used.set(jti, now + (ageSeconds + 2 * skewSeconds) * 1000);
  };

  return {
    async redeem(token) {
      const get = await getKeys();
      const claims = await jwtVerify(token, get, {
        ...{ issuer, audience: clientId, algorithms, requiredClaims: ['iat', 'jti', 'events'] },
        ...{ maxTokenAge: ageSeconds, clockTolerance: skewSeconds, currentDate: new Date(clock.now()) },
      }).then(({ payload, protectedHeader: { typ } }) => {
        // An ID token must not pass as a logout token.
        if (typ !== undefined && !/^(application\/)?(logout\+)?jwt$/i.test(typ)) throw refused('has another type');
        return payload;
      }, rethrow);
      const logout = logoutFrom(claims);
      use(String(claims.jti));
      return logout;
    },
  };
}

function logoutFrom({ sub, sid, events, nonce, jti }: JWTPayload): Logout {
  if (nonce !== undefined) throw refused('has a nonce, so it is an ID token');
  if (typeof jti !== 'string' || !idForm.test(jti)) throw refused('has no valid "jti"');
  const event =
    typeof events === 'object' && events !== null ? (events as Record<string, unknown>)[eventName] : undefined;
  if (typeof event !== 'object' || event === null) throw refused('is for another event');
  for (const [name, value] of Object.entries({ sub, sid }))
    if (value !== undefined && (typeof value !== 'string' || !idForm.test(value)))
      throw refused(`has no valid "${name}"`);
  if (sub === undefined && sid === undefined) throw refused('names neither a person nor a session');
  return { subject: sub ?? '', providerSid: (sid as string | undefined) ?? '' };
}

/** The library wraps what our `fetch` throws. */
function rethrow(thrown: unknown): never {
  for (let error = thrown; error instanceof Error; error = error.cause) if (error instanceof SoulBoxError) throw error;
  if (thrown instanceof errors.JWKSTimeout)
    throw new SoulBoxError('provider_unavailable', 'The identity provider does not respond. Retry later.');
  throw new SoulBoxError('bad_request', 'The logout token is not valid.', { cause: thrown });
}

function refused(fault: string): SoulBoxError {
  return new SoulBoxError('bad_request', `The logout token ${fault}.`);
}
