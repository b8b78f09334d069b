import { SoulBoxError } from '@soulbox/base';
import type { Clock } from '@soulbox/base';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JWTPayload, ProtectedHeaderParameters } from 'jose';
import type { EndedSignIns, Logout } from './ended-sign-ins.ts';
import type { TokenSource } from './provider.ts';
import { createProviderKeys } from './provider-keys.ts';

/** Checks the tokens with which the provider tells that sessions have ended. */
export interface LogoutTokens {
  /**
   * Calls `end` with what the token says. A token is accepted once, unless `end` throws. Throws `bad_request`,
   * `limit_exceeded`, `provider_unavailable`, and what `end` throws.
   */
  redeem(token: string, end: (logout: Logout) => Promise<void>): Promise<void>;
}

export interface LogoutTokenParts {
  readonly clientId: string;
  readonly findTokenSource: () => Promise<TokenSource>;
  readonly ended: EndedSignIns;
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
const tokenBytesMax = 4096;
/** Used tokens that are remembered until they no longer count. Only the provider can make any. */
const usedMax = 10_000;

export function createLogoutTokens({ clientId, findTokenSource, ended, clock }: LogoutTokenParts): LogoutTokens {
  const used = new Map<string, number>();
  const keys = createProviderKeys({ findTokenSource, clock });

  const use = ({ jti, issuedAt }: Facts): void => {
    const now = clock.now();
    for (const [id, until] of used) if (until <= now) used.delete(id);
    if (used.has(jti)) throw refused('was already used');
    if (used.size >= usedMax) throw new SoulBoxError('limit_exceeded', 'Too many logout tokens. Retry in a minute.');
    used.set(jti, (issuedAt + ageSeconds + skewSeconds + 1) * 1000);
  };

  return {
    async redeem(token, end) {
      // Costs nothing and asks nobody, so that most of what strangers send ends here.
      const facts = factsOf(token, { clientId, nowSeconds: clock.now() / 1000 });
      const { issuerOf } = await keys.findSource();
      await jwtVerify(token, async (header, of) => await keys.get(header, of), {
        ...{ issuer: issuerOf(facts.claims), audience: clientId, algorithms },
        ...{ maxTokenAge: ageSeconds, clockTolerance: skewSeconds, currentDate: new Date(clock.now()) },
      }).catch(rethrow);
      use(facts);
      ended.note(facts.logout, facts.issuedAt);
      try {
        await end(facts.logout);
      } catch (thrown) {
        // The provider sends the same token again.
        used.delete(facts.jti);
        throw thrown;
      }
    },
  };
}

interface Facts {
  readonly claims: JWTPayload;
  readonly logout: Logout;
  readonly jti: string;
  /** Unix seconds. */
  readonly issuedAt: number;
}

/** Everything about a token that needs no key. Throws `bad_request`. */
function factsOf(
  token: string,
  { clientId, nowSeconds }: { readonly clientId: string; readonly nowSeconds: number },
): Facts {
  const { header, claims } = decoded(token);
  // An ID token must not pass as a logout token.
  if (header.typ !== undefined && !/^(application\/)?(logout\+)?jwt$/i.test(header.typ))
    throw refused('has another type');
  if (!algorithms.includes(header.alg ?? '')) throw refused('has a signature of another kind');
  const { aud, iat, jti } = claims;
  if (![aud].flat().includes(clientId)) throw refused('is for another audience');
  if (typeof iat !== 'number') throw refused('has no valid "iat"');
  if (nowSeconds - iat > ageSeconds + skewSeconds + 1 || iat - nowSeconds > skewSeconds + 1)
    throw refused('is too old, or from the future');
  if (typeof jti !== 'string' || !idForm.test(jti)) throw refused('has no valid "jti"');
  return { claims, logout: logoutFrom(claims), jti, issuedAt: iat };
}

function decoded(token: string): { readonly header: ProtectedHeaderParameters; readonly claims: JWTPayload } {
  if (token.length > tokenBytesMax) throw refused(`has more than ${tokenBytesMax} bytes`);
  try {
    return { header: decodeProtectedHeader(token), claims: decodeJwt(token) };
  } catch (cause) {
    throw new SoulBoxError('bad_request', 'The logout token is not valid.', { cause });
  }
}

function logoutFrom({ sub, sid, events, nonce }: JWTPayload): Logout {
  if (nonce !== undefined) throw refused('has a nonce, so it is an ID token');
  const event =
    typeof events === 'object' && events !== null ? (events as Record<string, unknown>)[eventName] : undefined;
  if (typeof event !== 'object' || event === null) throw refused('is for another event');
  for (const [name, value] of Object.entries({ sub, sid }))
    if (value !== undefined && (typeof value !== 'string' || !idForm.test(value)))
      throw refused(`has no valid "${name}"`);
  if (sub === undefined && sid === undefined) throw refused('names neither a person nor a session');
  return { subject: sub ?? '', providerSid: (sid as string | undefined) ?? '' };
}

/** The library may wrap what our look-up of keys throws. */
function rethrow(thrown: unknown): never {
  for (let error = thrown; error instanceof Error; error = error.cause) if (error instanceof SoulBoxError) throw error;
  throw new SoulBoxError('bad_request', 'The logout token is not valid.', { cause: thrown });
}

function refused(fault: string): SoulBoxError {
  return new SoulBoxError('bad_request', `The logout token ${fault}.`);
}
