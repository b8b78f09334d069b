import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confused, signed, startHostileProvider, unsigned } from '../testing/hostile-provider.ts';
import type { HostileProvider } from '../testing/hostile-provider.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { createTestBrowser } from '../testing/test-browser.ts';
import type { TestBrowser } from '../testing/test-browser.ts';
import { ada, peopleOrigin, startTestPeople } from '../testing/test-people.ts';

const path = '/auth/backchannel-logout';
const event = { 'http://schemas.openid.net/event/backchannel-logout': {} };

async function send(api: TestApi, token: string, address = '192.0.2.1'): Promise<Response> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': address };
  return await fetch(api.url + path, { method: 'POST', headers, body: new URLSearchParams({ logout_token: token }) });
}

it('the end of a session at a real provider ends the sessions here, and nobody else is signed out', async () => {
  await using test = await startTestPeople();
  await test.add(ada, { [test.api.teamId]: 'developer' });
  const [browser, other] = [test.openBrowser(), test.openBrowser()];
  await test.signIn(browser);
  await test.signIn(other);
  const isSignedIn = async (at: TestBrowser) => (await at.open('/auth/session')).status === 200;
  expect([await isSignedIn(browser), await isSignedIn(other)]).toEqual([true, true]);
  const form = await browser.open(`${test.provider.issuer}/session/end`);
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(form.text)?.[1] ?? '';
  await browser.submit(`${test.provider.issuer}/session/end/confirm`, { xsrf, logout: 'yes' });
  expect(test.provider.toldLogouts).toEqual([200]);
  expect([await isSignedIn(browser), await isSignedIn(other)]).toEqual([false, true]);
});

describe('a logout token', () => {
  let provider: HostileProvider;
  let api: TestApi;
  const now = { value: 0 };
  beforeEach(async () => {
    now.value = Date.now();
    provider = await startHostileProvider();
    api = await startTestApi({
      clock: { now: () => now.value },
      config: {
        ...{ apiUrl: peopleOrigin, oidcIssuer: provider.issuer, oidcClientId: 'soulbox', oidcCreateUsers: true },
      },
    });
  });
  afterEach(async () => {
    await api[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
  });

  /** A browser with a session, which has this name at the provider. */
  async function signIn(sid?: string, sub = 'subject-ada'): Promise<TestBrowser> {
    const browser = createTestBrowser(peopleOrigin, api.url);
    const started = await browser.open('/auth/start', { hops: 0 });
    const { searchParams } = new URL(started.headers.get('location') ?? '');
    provider.nonce = searchParams.get('nonce') ?? '';
    const iat = Math.floor(now.value / 1000);
    provider.claims = { sub, email: `${sub}@example.com`, iat, ...(sid === undefined ? {} : { sid }) };
    await browser.open(`${peopleOrigin}/auth/callback?code=c&state=${searchParams.get('state') ?? ''}`);
    expect(await isSignedIn(browser)).toBe(true);
    return browser;
  }
  const isSignedIn = async (at: TestBrowser) => (await at.open('/auth/session')).status === 200;
  let made = 0;
  const claimsOf = (more: object = {}) => {
    const iat = Math.floor(now.value / 1000);
    made += 1;
    const whole = { iss: provider.issuer, aud: 'soulbox', iat, exp: iat + 120, jti: `j${made}`, events: event };
    return { ...whole, sub: 'subject-ada', ...more };
  };
  const tokenOf = (more: object = {}, header: object = { typ: 'logout+jwt' }) =>
    signed(provider.key, header, claimsOf(more));

  it('with a subject ends all sessions of the person, and the tokens of programs', async () => {
    const [one, two, other] = [await signIn('1'), await signIn(), await signIn('1', 'subject-bea')];
    const user = await api.records.users.findBySubject(provider.issuer, 'subject-ada');
    const token = { userId: user?.id ?? '', name: '', suffix: '', createdAt: 1, lastUsedAt: undefined };
    for (const isOfProgram of [true, false])
      await api.records.personalTokens.create(
        { ...token, id: String(isOfProgram), hash: String(isOfProgram), isOfProgram, expiresAt: now.value + 1e6 },
        9,
      );
    const answer = await send(api, tokenOf());
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
    expect([await isSignedIn(one), await isSignedIn(two), await isSignedIn(other)]).toEqual([false, false, true]);
    expect((await api.records.personalTokens.list(user?.id ?? '')).map(({ id }) => id)).toEqual(['false']);
  });

  it.each([
    ['alone', { sub: undefined, sid: '1' }],
    ['beside the subject', { sid: '1' }],
  ])('with a session %s ends this session', async (_what, claims) => {
    const [one, two] = [await signIn('1'), await signIn('2')];
    expect((await send(api, tokenOf(claims))).status).toBe(200);
    expect([await isSignedIn(one), await isSignedIn(two)]).toEqual([false, true]);
  });

  it('with a session also ends what has no name at the provider, and stays usable until all has ended', async () => {
    const [browser, other] = [await signIn(), await signIn('2')];
    const { sessions } = api.records;
    const endOfUser = sessions.endOfUser.bind(sessions);
    sessions.endOfUser = () => Promise.reject(new Error('broken'));
    const token = tokenOf({ sid: '1' });
    expect((await send(api, token)).status).toBe(500);
    sessions.endOfUser = endOfUser;
    expect((await send(api, token)).status).toBe(200);
    expect([await isSignedIn(browser), await isSignedIn(other)]).toEqual([false, true]);
  });

  it.each([
    ['session', { sub: undefined, sid: '1' }],
    ['person', {}],
  ])('for a %s also ends a sign-in that is under way', async (_what, claims) => {
    const { users } = api.records;
    const findBySubject = users.findBySubject.bind(users);
    let isTold = false;
    users.findBySubject = async (issuer, subject) => {
      users.findBySubject = findBySubject;
      expect((await send(api, tokenOf(claims))).status).toBe(200);
      isTold = true;
      return await findBySubject(issuer, subject);
    };
    await expect(signIn('1')).rejects.toThrow('expected false to be true');
    expect(isTold).toBe(true);
    now.value += 1000;
    expect(await isSignedIn(await signIn('2'))).toBe(true);
  });

  it('for a session or a person that nobody knows is accepted, and ends nothing', async () => {
    const browser = await signIn('1');
    for (const claims of [{ sid: '9' }, { sub: 'nobody' }, { sub: 'nobody', sid: '1' }, { sub: undefined, sid: '9' }])
      expect((await send(api, tokenOf(claims))).status).toBe(200);
    expect(await isSignedIn(browser)).toBe(true);
  });

  it('is accepted once, also within the same moment', async () => {
    await signIn();
    const token = tokenOf();
    const statuses = await Promise.all(Array.from({ length: 5 }, async () => (await send(api, token)).status));
    expect(statuses.sort()).toEqual([200, 400, 400, 400, 400]);
    const browser = await signIn(undefined, 'subject-bea');
    expect((await send(api, token)).status).toBe(400);
    expect(await isSignedIn(browser)).toBe(true);
  });

  const wrong: readonly (readonly [string, () => string])[] = [
    ['that is missing', () => ''],
    ['that is none', () => 'a.b.c'],
    ['of another issuer', () => tokenOf({ iss: 'https://evil.example' })],
    ['for another audience', () => tokenOf({ aud: 'other' })],
    ['with a nonce', () => tokenOf({ nonce: 'n' })],
    ['without events', () => tokenOf({ events: undefined })],
    ['for another event', () => tokenOf({ events: { 'http://schemas.openid.net/event/other': {} } })],
    ['with an event that is none', () => tokenOf({ events: { [Object.keys(event)[0] ?? '']: true } })],
    ['without an id', () => tokenOf({ jti: undefined })],
    ['without a time', () => tokenOf({ iat: undefined })],
    ['from long ago', () => tokenOf({ iat: Math.floor(now.value / 1000) - 600, exp: undefined })],
    ['that has expired', () => tokenOf({ exp: Math.floor(now.value / 1000) - 60 })],
    ['from the future', () => tokenOf({ iat: Math.floor(now.value / 1000) + 600 })],
    ['for nobody', () => tokenOf({ sub: undefined })],
    ['with a subject that is no text', () => tokenOf({ sub: 1 })],
    ['with a session of 300 characters', () => tokenOf({ sid: 'x'.repeat(300) })],
    ['of another type', () => tokenOf({}, { typ: 'at+jwt' })],
    ['without a signature', () => unsigned(claimsOf())],
    [
      'signed with the public key as an HMAC',
      () => confused(createPublicKey(provider.key).export({ format: 'pem', type: 'spki' }).toString(), claimsOf()),
    ],
    [
      'signed with another key',
      () => signed(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, {}, claimsOf()),
    ],
    ['with a key of its own', () => tokenOf({}, { kid: 'k9', jku: 'https://evil.example/jwks' })],
  ];
  it('that is wrong is refused and ends nothing, and never keeps the provider from being heard', async () => {
    const browser = await signIn('1');
    for (const [what, token] of wrong) {
      now.value += 6000;
      const answer = await send(api, token());
      expect([answer.status, answer.headers.get('cache-control')], what).toEqual([400, 'no-store']);
      expect(await answer.json()).toMatchObject({ error: 'invalid_request' });
    }
    for (let n = 0; n < 12; n += 1) expect((await send(api, 'x')).status).toBe(400);
    expect(await isSignedIn(browser)).toBe(true);
    expect((await send(api, tokenOf())).status).toBe(200);
    expect(await isSignedIn(browser)).toBe(false);
  });

  it('that comes in another form is refused before it is read', async () => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ logout_token: tokenOf(), more: 'x'.repeat(5000) });
    expect((await fetch(api.url + path, { method: 'POST', headers, body })).status).toBe(415);
    expect((await send(api, 'x'.repeat(4097))).status).toBe(413);
  });

  it('is not checked while the provider is away, and is not held against the address', async () => {
    provider.intercept = (_path, response) => {
      response.writeHead(500).end();
      return true;
    };
    for (let n = 0; n < 12; n += 1) expect((await send(api, tokenOf())).status).toBe(503);
  });

  it('is recorded in the audit logs of the teams, also in full ones, as a deed of the provider', async () => {
    await signIn();
    const [user] = await api.records.users.list();
    const { teamId } = api;
    await api.records.memberships.put({
      userId: user?.id ?? '',
      teamId,
      role: 'viewer',
      source: 'operator',
      createdAt: 1,
    });
    const token = tokenOf();
    const findHead = api.records.audit.findHead.bind(api.records.audit);
    api.records.audit.findHead = async (team) => {
      const head = await findHead(team);
      return head && { ...head, bytes: Infinity };
    };
    expect((await send(api, token)).status).toBe(200);
    const texts = (await api.records.audit.listWaiting(teamId, 0, 99)).map(({ text }) => text);
    const told = texts
      .filter((text) => text.includes('user.sign-out-by-provider'))
      .map((text) => JSON.parse(text) as object);
    expect(told).toMatchObject([
      { actor: { kind: 'server', id: 'identity-provider' }, target: { kind: 'user', id: user?.id } },
    ]);
    expect(told[0]).not.toHaveProperty('sealed');
    expect(told[0]).not.toHaveProperty('source');
    expect(await api.readLog()).not.toContain(token);
  });
});
