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

async function createSandbox(at: TestApi, host = 'api.example.com'): Promise<string> {
  const names = ['secrets.OpenAI', 'secrets.openai', 'secrets.none', 'identity.tokens.cloud'];
  const headers = Object.fromEntries(names.map((name, index) => [`x-${index}`, `Bearer \${e2b.${name}}`]));
  const { json } = await at.ask('POST', '/v2/sandboxes', {
    body: {
      templateID: 'base',
      network: { rules: { [host]: [{ transform: { headers } }] } },
      iam: { tokens: { cloud: { audience: 'https://cloud.example' } } },
    },
  });
  return (json as { sandboxID: string }).sandboxID;
}

const resolve = async (
  placeholders: readonly string[],
  more: { teamId?: string; sandboxId?: string; name?: string } = {},
) =>
  await api.resolvePlaceholders({
    ...{ sandboxId, teamId: api.teamId, placeholders, name: 'api.example.com', ...more },
    // Claims of the egress process that the policy does not have.
    identityTokens: { other: { audience: 'https://other.example', tokenType: 'JWT-SVID' } },
  });

const canary = 'canary-value';

/** Records of uses of secrets, in their order. */
async function uses(at: TestApi = api): Promise<object[]> {
  const waiting = await at.records.audit.listWaiting(at.teamId, 0, 1000);
  return waiting.filter(({ text }) => text.includes('"secret.use"')).map(({ text }) => JSON.parse(text) as object);
}

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
    const host = 'api.example.com';
    const used = await uses();
    expect(used).toMatchObject([{ facts: { sandbox: sandboxId, version: 1, host } }, { facts: { version: 2, host } }]);
    expect(head?.next).toBeGreaterThan(used.length);
    expect(JSON.stringify(waiting) + (await api.readLog())).not.toContain(canary);
  });

  it.each([`a b@${'x'.repeat(300)}`, '', '*.example.com', 'other.example.com', 'x.api.example.com', '203.0.113.7'])(
    'for the host %j, which no rule of the sandbox covers, gives no value and leaves no record of a use',
    async (name) => {
      await expect(resolve(['e2b.secrets.openai'], { name })).rejects.toMatchObject({ reason: 'bad_request' });
      expect(await uses()).toEqual([]);
    },
  );

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

describe('a secret with hosts', () => {
  const put = async (hosts: readonly string[]) => {
    const changed = await api.ask('PATCH', '/secrets/openai', { body: { hosts } });
    expect(changed).toMatchObject({ status: 200, json: { hosts } });
  };
  const openai = 'e2b.secrets.openai';
  beforeEach(async () => {
    const body = { name: 'openai', value: canary, hosts: ['api.example.com'] };
    await api.ask('POST', '/secrets', { body });
  });

  it('goes to these hosts; a change is in effect for the next question, and a new version has the same hosts', async () => {
    expect(await resolve([openai])).toEqual({ [openai]: canary });
    await put(['api.example.org']);
    await expect(resolve([openai])).rejects.toMatchObject({ reason: 'secret_host_refused' });
    await api.ask('POST', '/secrets/openai', { body: { value: 'newer' } });
    await expect(resolve([openai])).rejects.toMatchObject({ reason: 'secret_host_refused' });
    await put(['*.example.com']);
    expect(await resolve([openai])).toEqual({ [openai]: 'newer' });
    await put([]);
    expect(await resolve([openai])).toEqual({ [openai]: 'newer' });
  });

  it.each([
    [['example.com'], 'secret_host_refused'],
    [['api.example.co', 'pi.example.com', 'xapi.example.com'], 'secret_host_refused'],
    [['*.api.example.com'], 'secret_host_refused'],
    [['*.com'], undefined],
    [['other.example', 'api.example.com'], undefined],
  ])('%j: a connection to api.example.com gets %s', async (hosts, reason) => {
    await put(hosts);
    if (reason === undefined) expect(await resolve([openai])).toEqual({ [openai]: canary });
    else await expect(resolve([openai])).rejects.toMatchObject({ reason });
  });

  it('is judged by the name of the connection, not by a wildcard of the rule', async () => {
    sandboxId = await createSandbox(api, '*.example.com');
    expect(await resolve([openai])).toEqual({ [openai]: canary });
    for (const name of ['other.example.com', 'x.api.example.com'])
      await expect(resolve([openai], { name })).rejects.toMatchObject({ reason: 'secret_host_refused' });
    // The egress process cannot pass a pattern off as a name.
    await expect(resolve([openai], { name: '*.example.com' })).rejects.toMatchObject({ reason: 'bad_request' });
  });

  it('that is refused is in the audit log with the host, once for a rule in five seconds, and never with the value', async () => {
    sandboxId = await createSandbox(api, '*.example.com');
    for (let n = 0; n < 30; n += 1)
      await expect(resolve([openai], { name: `n${n}.example.com` })).rejects.toThrow(/openai.*must not be sent to n/);
    const refused = { result: { status: 'failure', code: 403 }, rule: 'secret_host' };
    const facts = (host: string) => ({ sandbox: sandboxId, version: 1, host });
    expect(await uses()).toMatchObject([{ ...refused, facts: facts('n0.example.com') }]);
    now += 5000;
    await expect(resolve([openai], { name: 'later.example.com' })).rejects.toThrow('must not be sent');
    expect(await uses()).toMatchObject([{}, { ...refused, facts: facts('later.example.com') }]);
    const waiting = await api.records.audit.listWaiting(api.teamId, 0, 1000);
    expect(JSON.stringify(waiting) + (await api.readLog())).not.toContain(canary);
  });

  it('that is sent on many connections leaves one record in five seconds', async () => {
    for (let n = 0; n < 30; n += 1) await resolve([openai]);
    expect(await uses()).toHaveLength(1);
    now += 5000;
    await resolve([openai]);
    expect(await uses()).toHaveLength(2);
  });
});

it('with SOULBOX_SECRETS_NEED_HOSTS a secret without hosts is sent nowhere until it gets some', async () => {
  await using strict = await startTestApi({ config: { apiUrl: issuer, secretsNeedHosts: true } });
  const placeholders = ['e2b.secrets.openai'];
  const request = {
    ...{ sandboxId: await createSandbox(strict), teamId: strict.teamId, name: 'api.example.com' },
    ...{ placeholders, identityTokens: {} },
  };
  await strict.ask('POST', '/secrets', { body: { name: 'openai', value: canary } });
  await expect(strict.resolvePlaceholders(request)).rejects.toMatchObject({ reason: 'secret_host_refused' });
  await strict.ask('PATCH', '/secrets/openai', { body: { hosts: ['api.example.com'] } });
  expect(await strict.resolvePlaceholders(request)).toEqual({ 'e2b.secrets.openai': canary });
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
    ...{ sandboxId: await createSandbox(other), teamId: other.teamId, name: 'api.example.com' },
    ...{ placeholders: ['e2b.identity.tokens.cloud'], identityTokens: {} },
  });
  await expect(asked).rejects.toMatchObject({ reason: 'config_invalid' });
});
