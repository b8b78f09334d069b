import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { announceMs, tokenLifeMs } from '../identity-tokens/identity-tokens.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

const issuer = 'https://api.soulbox.test';
const dayMs = 86_400_000;
let api: TestApi;
let now = 0;
let sandboxId = '';
beforeEach(async () => {
  now = Date.now();
  api = await startTestApi({ config: { apiUrl: issuer }, clock: { now: () => now } });
  sandboxId = await createSandbox(api);
});
afterEach(() => api[Symbol.asyncDispose]());

async function createSandbox(at: TestApi): Promise<string> {
  const names = ['secrets.OpenAI', 'secrets.openai', 'secrets.none', 'identity.tokens.cloud'];
  const headers = Object.fromEntries(names.map((name, index) => [`x-${index}`, `Bearer \${e2b.${name}}`]));
  const { json } = await at.ask('POST', '/v2/sandboxes', {
    body: {
      templateID: 'base',
      network: { rules: { 'api.example.com': [{ transform: { headers } }] } },
      iam: { tokens: { cloud: { audience: 'https://cloud.example' } } },
    },
  });
  return (json as { sandboxID: string }).sandboxID;
}

const resolve = async (
  placeholders: readonly string[],
  more: { teamId?: string; sandboxId?: string; host?: string } = {},
) =>
  await api.resolvePlaceholders({
    ...{ sandboxId, teamId: api.teamId, placeholders, host: 'api.example.com', ...more },
    // Claims of the egress process that the policy does not have.
    identityTokens: { other: { audience: 'https://other.example', tokenType: 'JWT-SVID' } },
  });

const canary = 'canary-value';

describe('the placeholder of a secret', () => {
  beforeEach(async () => {
    await api.ask('POST', '/secrets', { body: { name: 'openai', value: 'first' } });
    await api.ask('POST', '/secrets', { body: { name: 'unnamed', value: 'second' } });
  });

  it('gets the newest value at once, in any case of the name, and each use is in the audit log without the value', async () => {
    expect(await resolve(['e2b.secrets.OpenAI'])).toEqual({ 'e2b.secrets.OpenAI': 'first' });
    await api.ask('POST', '/secrets/openai', { body: { value: canary } });
    expect(await resolve(['e2b.secrets.openai'])).toEqual({ 'e2b.secrets.openai': canary });
    const head = await api.records.audit.findHead(api.teamId);
    const waiting = await api.records.audit.listWaiting(api.teamId, 0, 100);
    const uses = waiting
      .filter(({ text }) => text.includes('secret.use'))
      .map(({ text }) => JSON.parse(text) as object);
    const host = 'api.example.com';
    expect(uses).toMatchObject([{ facts: { sandbox: sandboxId, version: 1, host } }, { facts: { version: 2, host } }]);
    expect(head?.next).toBeGreaterThan(uses.length);
    expect(JSON.stringify(waiting) + (await api.readLog())).not.toContain(canary);
  });

  it('that goes to something without the form of a host name is recorded without it', async () => {
    await resolve(['e2b.secrets.openai'], { host: `a b@${'x'.repeat(300)}` });
    const waiting = await api.records.audit.listWaiting(api.teamId, 0, 100);
    expect(waiting.find(({ text }) => text.includes('secret.use'))?.text).toContain('"host":"[removed]"');
  });

  it.each([
    ['a secret that does not exist', ['e2b.secrets.none'], {}, 'secret_not_found'],
    ['one of several that does not exist', ['e2b.secrets.openai', 'e2b.secrets.none'], {}, 'secret_not_found'],
    ['another team', ['e2b.secrets.openai'], { teamId: 'otherteam' }, 'sandbox_not_found'],
    ['an unknown sandbox', ['e2b.secrets.openai'], { sandboxId: 'iunknown' }, 'sandbox_not_found'],
    ['a secret that no rule of the sandbox names', ['e2b.secrets.unnamed'], {}, 'bad_request'],
    ['text that names nothing', ['e2b.secrets.'], {}, 'bad_request'],
    ['a path', ['e2b.secrets.../openai'], {}, 'bad_request'],
    ['too many', Array.from({ length: 201 }, (_, n) => `e2b.secrets.s${n}`), {}, 'bad_request'],
    ['a token that is not declared', ['e2b.identity.tokens.other'], {}, 'bad_request'],
    ['a token with the name of a property', ['e2b.identity.tokens.constructor'], {}, 'bad_request'],
  ])('of %s gives no value', async (_, placeholders, more, reason) => {
    await expect(resolve(placeholders, more)).rejects.toMatchObject({ reason });
  });

  it('of a sandbox that has ended gives no value', async () => {
    await api.ask('DELETE', `/sandboxes/${sandboxId}`);
    await expect(resolve(['e2b.secrets.openai'])).rejects.toMatchObject({ reason: 'sandbox_not_found' });
  });
});

describe('the placeholder of a workload identity', () => {
  const published = async () => (await api.ask('GET', '/.well-known/jwks.json', { key: null })).json as JSONWebKeySet;
  const issue = async (): Promise<string> =>
    (await resolve(['e2b.identity.tokens.cloud']))['e2b.identity.tokens.cloud'] ?? '';
  const verify = async (token: string, keys: JSONWebKeySet) =>
    await jwtVerify(token, createLocalJWKSet(keys), {
      issuer,
      audience: 'https://cloud.example',
      currentDate: new Date(now),
    });

  it('is a token that a JOSE library verifies with the published keys, for the declared audience only', async () => {
    const token = await issue();
    const { payload, protectedHeader } = await verify(token, await published());
    expect(protectedHeader).toMatchObject({ alg: 'ES256', typ: 'JWT' });
    expect(payload.sub).toMatch(
      new RegExp(`^spiffe://api\\.soulbox\\.test/team/${api.teamId}/template/[a-z0-9-]+/sandbox/${sandboxId}$`),
    );
    expect(payload).toMatchObject({ soulbox: { team: api.teamId, sandbox: sandboxId } });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(tokenLifeMs / 1000);
    const keys = createLocalJWKSet(await published());
    await expect(jwtVerify(token, keys, { audience: 'other' })).rejects.toThrow('aud');
    const [head = '', , signature = ''] = token.split('.');
    const forged = Buffer.from(JSON.stringify({ ...payload, sub: 'spiffe://api.soulbox.test/admin' })).toString(
      'base64url',
    );
    await expect(jwtVerify(`${head}.${forged}.${signature}`, keys)).rejects.toThrow('signature');
    now += tokenLifeMs + 1000;
    await expect(verify(token, await published())).rejects.toThrow('exp');
  });

  it('is signed by a key that was published before, and stays valid over the rotation', async () => {
    const before = decodeProtectedHeader(await issue()).kid;
    now += 30 * dayMs - announceMs;
    const announced = await published();
    expect(announced.keys).toHaveLength(2);
    const last = await issue();
    expect(decodeProtectedHeader(last).kid).toBe(before);
    now += announceMs;
    const next = await issue();
    expect(decodeProtectedHeader(next).kid).not.toBe(before);
    // Who has kept the list since the announcement, and who asks now.
    for (const keys of [announced, await published()]) await verify(next, keys);
    expect((await published()).keys).toHaveLength(2);
    now += dayMs;
    expect((await published()).keys).toHaveLength(1);
  });

  it('does not change the key when many ask at once, or when the server starts again', async () => {
    const tokens = await Promise.all(Array.from({ length: 20 }, issue));
    await api.restart();
    const kids = new Set([...tokens, await issue()].map((token) => decodeProtectedHeader(token).kid));
    expect(kids.size).toBe(1);
    const [key] = await api.records.identityKeys.list();
    expect(key?.sealedPrivateKey).toMatch(/^sb1\./);
    expect(JSON.stringify(await published())).not.toMatch(/"d"|PRIVATE/);
  });

  it('is found by its discovery document without a key', async () => {
    const found = await api.ask('GET', '/.well-known/openid-configuration', { key: null });
    expect(found.json).toMatchObject({ issuer, jwks_uri: `${issuer}/.well-known/jwks.json` });
    expect(found.headers.get('cache-control')).toBe('public, max-age=300');
  });
});

it('without the address of the API no token is issued', async () => {
  await using other = await startTestApi();
  const asked = other.resolvePlaceholders({
    ...{ sandboxId: await createSandbox(other), teamId: other.teamId, host: 'h' },
    ...{ placeholders: ['e2b.identity.tokens.cloud'], identityTokens: {} },
  });
  await expect(asked).rejects.toMatchObject({ reason: 'config_invalid' });
});
