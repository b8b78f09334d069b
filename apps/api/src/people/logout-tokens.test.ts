import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '@soulbox/base/logger';
import { signed, startHostileProvider } from '../testing/hostile-provider.ts';
import type { HostileProvider } from '../testing/hostile-provider.ts';
import type { SignInConfig } from '../sign-in-config.ts';
import { createEndedSignIns } from './ended-sign-ins.ts';
import { createLogoutTokens } from './logout-tokens.ts';
import type { LogoutTokens } from './logout-tokens.ts';
import { createProvider } from './provider.ts';

const now = { value: 0 };
const clock = { now: () => now.value };
let hostile: HostileProvider;
let tokens: LogoutTokens;
beforeEach(async () => {
  now.value = Date.now();
  hostile = await startHostileProvider();
  const config = { oidcIssuer: hostile.issuer, oidcClientId: 'soulbox', oidcScopes: 'openid' } as SignInConfig;
  const provider = createProvider({
    ...{ config, clientSecret: undefined, redirectUri: 'https://people.example/auth/callback', clock },
    logger: silentLogger,
  });
  const findTokenSource = async () => await provider.findTokenSource();
  tokens = createLogoutTokens({ clientId: 'soulbox', findTokenSource, ended: createEndedSignIns(clock), clock });
});
afterEach(() => hostile[Symbol.asyncDispose]());

let made = 0;
function tokenOf(more: object = {}, header: object = {}): string {
  const [iat, jti] = [Math.floor(now.value / 1000), `j${(made += 1)}`];
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
  const claims = { iss: hostile.ownIssuer, aud: 'soulbox', sub: 'ada', exp: iat + 120, iat, jti, events, ...more };
  return signed(hostile.key, { typ: 'logout+jwt', ...header }, claims);
}
const nothing = () => Promise.resolve();
/** `accepted`, or the reason of the error. */
async function redeem(token: string, end: () => Promise<void> = nothing): Promise<string> {
  return await tokens.redeem(token, end).then(
    () => 'accepted',
    (error: unknown) => (error as { reason?: string }).reason ?? 'unknown',
  );
}
const asks = (path: string) => hostile.asked.filter((asked) => asked === path).length;

it('the issuer is that of the provider, which may end with a slash', async () => {
  hostile.ownIssuer = `${hostile.issuer}/`;
  expect(await redeem(tokenOf())).toBe('accepted');
  expect(await redeem(tokenOf({ iss: hostile.issuer }))).toBe('bad_request');
});

it('a template of issuers is filled with the tenant of the token', async () => {
  const issuer = 'https://login.example/{tenantid}/v2.0';
  const source = {
    keysUrl: `${hostile.issuer}/jwks`,
    issuerOf: ({ tid }: { tid?: unknown }) => issuer.replace('{tenantid}', String(tid)),
  };
  tokens = createLogoutTokens({
    clientId: 'soulbox',
    findTokenSource: () => Promise.resolve(source),
    ended: createEndedSignIns(clock),
    clock,
  });
  expect(await redeem(tokenOf({ iss: 'https://login.example/t1/v2.0', tid: 't1' }))).toBe('accepted');
  expect(await redeem(tokenOf({ iss: 'https://login.example/t1/v2.0', tid: 't2' }))).toBe('bad_request');
});

it('a token counts again if what it ends could not be ended', async () => {
  const token = tokenOf();
  expect(await redeem(token, () => Promise.reject(new Error('the disk is full')))).toBe('unknown');
  expect(await redeem(token)).toBe('accepted');
  expect(await redeem(token)).toBe('bad_request');
});

it('a token that is wrong without a look at keys makes nobody ask the provider', async () => {
  for (const token of ['', 'x', tokenOf({ aud: 'other' }), tokenOf({ iat: 1 }), tokenOf({}, { alg: 'none' })])
    expect(await redeem(token)).toBe('bad_request');
  expect(await redeem(tokenOf({ more: 'x'.repeat(4096) }))).toBe('bad_request');
  expect(hostile.asked).toEqual([]);
});

describe('while the keys cannot be read', () => {
  it.each<[string, number, string]>([
    ['/jwks', 429, ''],
    ['/jwks', 404, ''],
    ['/jwks', 302, ''],
    ['/jwks', 200, 'no JSON'],
    ['/jwks', 200, '{"keys":1}'],
    ['/jwks', 200, '{"keys":[{"kty":"RSA","kid":"k1","alg":"RS256"}]}'],
    ['/.well-known/openid-configuration', 404, ''],
    ['/.well-known/openid-configuration', 200, 'no JSON'],
    ['/.well-known/openid-configuration', 200, '{"issuer":"https://evil.example"}'],
  ])('because %s answers %i %s, a token is not refused for good, and counts later', async (path, status, body) => {
    let isBroken = true;
    hostile.intercept = (asked, response) => {
      if (asked !== path || !isBroken) return false;
      response.writeHead(status, { 'content-type': 'application/json', location: '/' }).end(body);
      return true;
    };
    const token = tokenOf();
    for (let n = 0; n < 20; n += 1) expect(await redeem(token)).toBe('provider_unavailable');
    expect(asks(path)).toBe(1);
    isBroken = false;
    now.value += 5000;
    expect(await redeem(token)).toBe('accepted');
  });
});

it('unknown keys make nobody wait who has a known one, and are asked for seldom', async () => {
  expect(await redeem(tokenOf())).toBe('accepted');
  now.value += 5000;
  let answer = (): void => undefined;
  hostile.intercept = (path, response) => {
    if (path !== '/jwks') return false;
    answer = () => void response.end('{"keys":[]}');
    return true;
  };
  const waiting = Array.from({ length: 80 }, async () => await redeem(tokenOf({}, { kid: 'k2' })));
  await expect.poll(() => asks('/jwks')).toBe(2);
  expect(await redeem(tokenOf())).toBe('accepted');
  answer();
  const outcomes = await Promise.all(waiting);
  expect(new Set(outcomes)).toEqual(new Set(['bad_request', 'provider_unavailable']));
  expect(outcomes.filter((outcome) => outcome === 'bad_request').length).toBeLessThanOrEqual(64);
  expect(await redeem(tokenOf({}, { kid: 'k3' }))).toBe('provider_unavailable');
  expect(asks('/jwks')).toBe(2);
});
