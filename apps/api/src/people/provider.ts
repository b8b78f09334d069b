import { SoulBoxError } from '@soulbox/base';
import type { Clock, Logger, Secret } from '@soulbox/base';
import * as oidc from 'openid-client';
import { isProtected } from '../sign-in-config.ts';
import type { SignInConfig } from '../sign-in-config.ts';
import { boundedFetch, providerTimeoutMs } from './bounded-fetch.ts';
import { checkAdmitted, identityFrom } from './claims.ts';
import type { Identity } from './claims.ts';

/** The values of one sign-in that only this server and the browser know. */
export interface SignInSecrets {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
}

/** The OpenID Connect provider at which people sign in. */
export interface Provider {
  readonly issuer: string;
  /** Where the browser is sent. Throws `provider_unavailable`. */
  authorizationUrl(secrets: SignInSecrets): Promise<URL>;
  /**
   * Exchanges the code in the query with which the browser came back, and checks everything. Throws `sign_in_failed`,
   * `sign_in_refused` and `provider_unavailable`.
   */
  redeem(query: URLSearchParams, secrets: SignInSecrets): Promise<Identity>;
  /** How its tokens can be checked that do not come from a sign-in. Throws `provider_unavailable`. */
  findTokenSource(): Promise<TokenSource>;
  /** Where a person ends the session at the provider too. Undefined if it offers none, or if it is away. */
  endSessionUrl(returnTo: string): Promise<URL | undefined>;
}

export interface TokenSource {
  /** Where the provider has its public keys. */
  readonly keysUrl: string;
  /**
   * The issuer of a token with these claims, as the provider spells it: the configured issuer may lack a final slash,
   * and that of a provider with many tenants is a template.
   */
  readonly issuerOf: (claims: Readonly<Record<string, unknown>>) => string;
}

export interface ProviderOptions {
  readonly config: SignInConfig;
  readonly clientSecret: Secret | undefined;
  readonly redirectUri: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For tests. Milliseconds. */
  readonly timeoutMs?: number;
}

/** How long the provider's metadata are kept, and how long a failure to get them. */
const metadataMs = 10 * 60_000;
const failureMs = 2000;
/** Code exchanges at the same time. Each waits for a few responses of the provider. */
const exchangesMax = 32;
/** How much the clock of the provider may differ. */
const skewSeconds = 30;

export function createProvider(options: ProviderOptions): Provider {
  const { config, clientSecret, redirectUri, clock, logger } = options;
  const timeoutMs = options.timeoutMs ?? providerTimeoutMs;
  let known: { readonly client: Promise<oidc.Configuration>; readonly until: number } | undefined;
  let exchanges = 0;

  const discover = async (): Promise<oidc.Configuration> => {
    const client = await oidc.discovery(
      new URL(config.oidcIssuer),
      config.oidcClientId,
      { [oidc.clockTolerance]: skewSeconds },
      clientSecret === undefined ? oidc.None() : oidc.ClientSecretBasic(clientSecret.reveal()),
      {
        [oidc.customFetch]: async (url, request) => await boundedFetch(url, request, timeoutMs),
        // A token from the provider's own response may be unsigned (OpenID Connect Core 1.0, 3.1.3.7). Not here.
        // oxlint-disable-next-line typescript/no-deprecated -- a warning, not a plan to remove it
        execute: [oidc.enableNonRepudiationChecks, ...(isLocal(config) ? [oidc.allowInsecureRequests] : [])],
      },
    );
    const { authorization_endpoint: authorization, token_endpoint: token } = client.serverMetadata();
    for (const url of [authorization, token])
      if (url === undefined || !URL.canParse(url) || !isProtected(url))
        throw new SoulBoxError('provider_unavailable', 'The identity provider has no valid endpoints.');
    return client;
  };
  const getClient = async (): Promise<oidc.Configuration> => {
    const now = clock.now();
    if (known === undefined || known.until <= now) {
      const entry = { client: discover(), until: now + metadataMs };
      known = entry;
      entry.client.catch(() => {
        if (known === entry) known = { ...entry, until: now + failureMs };
      });
    }
    return await known.client;
  };
  const translated = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      const error = translate(thrown);
      if (error.reason !== 'sign_in_refused') logger.warn({ err: thrown, issuer: config.oidcIssuer }, what);
      throw error;
    }
  };

  return {
    issuer: config.oidcIssuer,
    authorizationUrl: async ({ state, nonce, codeVerifier }) =>
      await translated('a sign-in could not be started', async () =>
        oidc.buildAuthorizationUrl(await getClient(), {
          ...{ redirect_uri: redirectUri, scope: config.oidcScopes, state, nonce },
          code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
          code_challenge_method: 'S256',
        }),
      ),
    redeem: async (query, { state, nonce, codeVerifier }) => {
      if (exchanges >= exchangesMax)
        throw new SoulBoxError('provider_unavailable', 'Too many people are signing in at this moment. Retry.');
      exchanges += 1;
      try {
        return await translated('a sign-in failed', async () => {
          const client = await getClient();
          const checks = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier };
          const url = new URL(redirectUri);
          url.search = query.toString();
          const tokens = await oidc.authorizationCodeGrant(client, url, { ...checks, idTokenExpected: true });
          const claims = await completeClaims(client, tokens, config);
          const identity = identityFrom(config.oidcIssuer, claims, config);
          checkAdmitted(identity, claims, config);
          return identity;
        });
      } finally {
        exchanges -= 1;
      }
    },
    async findTokenSource() {
      try {
        const { issuer, jwks_uri: keysUrl } = (await getClient()).serverMetadata();
        if (keysUrl === undefined || !URL.canParse(keysUrl) || !isProtected(keysUrl))
          throw new SoulBoxError('provider_unavailable', 'The identity provider has no valid keys.');
        return { keysUrl, issuerOf: ({ tid }) => issuer.replace('{tenantid}', () => String(tid)) };
      } catch (thrown) {
        if (thrown instanceof SoulBoxError) throw thrown;
        const message = 'The identity provider does not respond as it should. Retry later.';
        throw new SoulBoxError('provider_unavailable', message, { cause: thrown });
      }
    },
    async endSessionUrl(returnTo) {
      try {
        const client = await getClient();
        const { end_session_endpoint: endpoint } = client.serverMetadata();
        if (endpoint === undefined || !URL.canParse(endpoint) || !isProtected(endpoint)) return undefined;
        return oidc.buildEndSessionUrl(client, { post_logout_redirect_uri: returnTo });
      } catch {
        return undefined;
      }
    },
  };
}

/** Many providers tell address and groups only at their userinfo endpoint. */
async function completeClaims(
  client: oidc.Configuration,
  tokens: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers,
  { oidcGroupsClaim, oidcGroupRoles }: SignInConfig,
): Promise<Readonly<Record<string, unknown>>> {
  const claims = tokens.claims();
  if (claims === undefined) throw new SoulBoxError('sign_in_failed', 'The identity provider sent no ID token.');
  if (claims.iat > Date.now() / 1000 + skewSeconds)
    throw new SoulBoxError('sign_in_failed', 'The ID token of the identity provider is from the future.');
  const needed = ['email', ...(oidcGroupRoles.length > 0 ? [oidcGroupsClaim] : [])];
  const isComplete = needed.every((name) => claims[name] !== undefined);
  if (isComplete || client.serverMetadata().userinfo_endpoint === undefined) return claims;
  // The ID token is signed, so its claims win.
  return { ...(await oidc.fetchUserInfo(client, tokens.access_token, claims.sub)), ...claims };
}

const isLocal = ({ oidcIssuer }: SignInConfig): boolean => new URL(oidcIssuer).protocol === 'http:';

/** The library wraps what our `fetch` throws. */
function translate(thrown: unknown): SoulBoxError {
  for (let error = thrown; error instanceof Error; error = error.cause) if (error instanceof SoulBoxError) return error;
  return new SoulBoxError('sign_in_failed', 'The sign-in failed. Start again.', { cause: thrown });
}
