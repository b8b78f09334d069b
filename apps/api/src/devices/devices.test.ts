import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import { ada, peopleOrigin, startTestPeople } from '../testing/test-people.ts';
import type { TestPeople } from '../testing/test-people.ts';
import type { Page, TestBrowser } from '../testing/test-browser.ts';

let test: TestPeople;
let browser: TestBrowser;
beforeEach(async () => {
  test = await startTestPeople();
  browser = test.openBrowser();
  await test.add(ada, { [test.api.teamId]: 'developer' });
});
afterEach(() => test[Symbol.asyncDispose]());

/** A program without cookies. */
async function post(path: string, fields: Readonly<Record<string, string>>) {
  const answer = await fetch(test.api.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, string> };
}
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
const poll = async (code: string | undefined) =>
  await post('/auth/token', { grant_type: deviceGrant, device_code: code ?? '', client_id: 'soulbox' });
const csrfIn = (page: Page): string => /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
const start = async (client = 'soulbox on host1') => (await post('/auth/device-code', { client_id: client })).json;

describe('a program without a browser', () => {
  it('gets a token when a person who signs in with the code allows it', async () => {
    const asked = await start();
    expect(asked).toMatchObject({ verification_uri: `${peopleOrigin}/auth/device`, interval: 5, expires_in: 600 });
    expect((await poll(asked['device_code'])).json).toEqual({ error: 'authorization_pending' });
    expect((await poll(asked['device_code'])).json).toEqual({ error: 'slow_down' });
    const signIn = await browser.open(asked['verification_uri_complete'] ?? '');
    expect(signIn.url).toContain('/auth/sign-in');
    const link = /href="(\/auth\/start[^"]+)"/.exec(signIn.text)?.[1] ?? '';
    const page = await browser.open(link.replaceAll('&amp;', '&'));
    expect(page.url).toBe(asked['verification_uri_complete']);
    expect(page.text).toContain('soulbox on host1');
    const user_code = asked['user_code'] ?? '';
    const allowed = await browser.submit('/auth/device', { csrf: csrfIn(page), user_code, decision: 'allow' });
    expect(allowed.text).toContain('The program continues now.');
    const got = await poll(asked['device_code']);
    expect(got.status).toBe(200);
    const token = got.json['access_token'] ?? '';
    const headers = { authorization: `Bearer ${token}` };
    expect((await test.api.ask('GET', '/auth/session', { key: null, headers })).json).toMatchObject({
      ...{ via: 'token', user: { email: 'ada@example.com' }, csrfToken: null },
    });
    expect((await poll(asked['device_code'])).json).toEqual({ error: 'expired_token' });
    expect((await post('/auth/revoke', { token })).status).toBe(200);
    expect((await test.api.ask('GET', '/auth/session', { key: null, headers })).status).toBe(401);
  });

  it('gets nothing when the person denies, sends no token of the session, or is removed', async () => {
    await test.signIn(browser);
    const asked = await start();
    const user_code = asked['user_code'] ?? '';
    for (const csrf of ['', 'x'])
      expect((await browser.submit('/auth/device', { csrf, user_code, decision: 'allow' })).status).toBe(403);
    const page = await browser.open(`/auth/device?user_code=${user_code}`);
    await browser.submit('/auth/device', { csrf: csrfIn(page), user_code, decision: 'deny' });
    expect((await poll(asked['device_code'])).json).toEqual({ error: 'access_denied' });
    const again = await start();
    const code = again['user_code'] ?? '';
    await browser.submit('/auth/device', { csrf: csrfIn(page), user_code: code, decision: 'allow' });
    const [user] = await test.api.records.users.list();
    await test.api.records.users.remove(user?.id ?? '');
    expect((await poll(again['device_code'])).json).toEqual({ error: 'access_denied' });
  });

  const allow = async (code: string | undefined): Promise<void> => {
    const page = await browser.open(`/auth/device?user_code=${code ?? ''}`);
    await browser.submit('/auth/device', { csrf: csrfIn(page), user_code: code ?? '', decision: 'allow' });
  };

  it('gets nothing any more when the person signs out after allowing it, or their session ends', async () => {
    await test.signIn(browser);
    const first = await start();
    await allow(first['user_code']);
    await browser.submit('/auth/sign-out', { csrf: csrfIn(await browser.open('/account')) });
    expect((await poll(first['device_code'])).json).toEqual({ error: 'access_denied' });
    await test.signIn(browser);
    const second = await start();
    await allow(second['user_code']);
    const [user] = await test.api.records.users.list();
    await test.api.records.sessions.endOfUser(user?.id ?? '');
    expect((await poll(second['device_code'])).json).toEqual({ error: 'access_denied' });
    expect(await test.api.records.personalTokens.list(user?.id ?? '')).toEqual([]);
  });

  it('gets nothing when the person signs out everywhere while its token is made', async () => {
    await test.signIn(browser);
    const asked = await start();
    await allow(asked['user_code']);
    const [user] = await test.api.records.users.list();
    const { memberships, sessions, personalTokens } = test.api.records;
    const before = { ...memberships };
    // The memberships are read between the check of the session and the creation of the token.
    Object.assign(memberships, {
      listOfUser: async (id: string) => {
        await sessions.endOfUser(id);
        return await before.listOfUser(id);
      },
    });
    expect((await poll(asked['device_code'])).json).toEqual({ error: 'access_denied' });
    expect(await personalTokens.list(user?.id ?? '')).toEqual([]);
  });

  it('loses its token when the person signs out everywhere, but not by a sign-out of one browser', async () => {
    const tokenOf = async (): Promise<string> => {
      await test.signIn(browser);
      const asked = await start();
      await allow(asked['user_code']);
      return (await poll(asked['device_code'])).json['access_token'] ?? '';
    };
    const statusOf = async (token: string): Promise<number> =>
      (await test.api.ask('GET', '/auth/session', { key: null, headers: { authorization: `Bearer ${token}` } })).status;
    const token = await tokenOf();
    const signOut = async (more: object = {}) =>
      await browser.submit('/auth/sign-out', { csrf: csrfIn(await browser.open('/account')), ...more });
    await signOut();
    expect(await statusOf(token)).toBe(200);
    // With the token itself nobody can end the sessions of its person.
    const headers = { authorization: `Bearer ${token}` };
    expect((await test.api.ask('DELETE', '/auth/session?everywhere=true', { key: null, headers })).status).toBe(403);
    const other = test.openBrowser();
    await test.signIn(other);
    const later = await tokenOf();
    const { csrfToken } = JSON.parse((await browser.call('GET', '/auth/session')).text) as { csrfToken: string };
    const own = await browser.call('POST', '/personal-tokens', {
      ...{ headers: { 'x-csrf-token': csrfToken }, body: { name: 'ci' } },
    });
    await signOut({ everywhere: '1' });
    expect([await statusOf(token), await statusOf(later)]).toEqual([401, 401]);
    expect((await other.call('GET', '/auth/session')).status).toBe(401);
    expect(await statusOf((JSON.parse(own.text) as { token: string }).token)).toBe(200);
    const records = (await test.api.ask('GET', '/audit/records?from=0')).json as { action: string }[];
    expect(records.filter(({ action }) => action === 'user.sign-out-everywhere')).toHaveLength(1);
  });

  it('cannot act for a team any more from which its person was removed', async () => {
    await test.signIn(browser);
    const asked = await start();
    await allow(asked['user_code']);
    const token = (await poll(asked['device_code'])).json['access_token'] ?? '';
    const list = async () =>
      (await test.api.ask('GET', '/v2/sandboxes', { key: `${token}_${test.api.teamId}` })).status;
    expect(await list()).toBe(200);
    const [user] = await test.api.records.users.list();
    await test.api.records.memberships.remove(user?.id ?? '', test.api.teamId);
    expect(await list()).toBe(403);
  });

  it('cannot be found by guessing: wrong codes are throttled', async () => {
    await test.signIn(browser);
    const statuses: number[] = [];
    for (let n = 0; n < 12; n += 1) statuses.push((await browser.open('/auth/device?user_code=BBBB-BBBB')).status);
    expect(statuses).toEqual([...Array<number>(10).fill(404), 429, 429]);
  });

  it('cannot be decided by guessing: wrong codes in the form count like those in the address', async () => {
    await test.signIn(browser);
    const csrf = csrfIn(await browser.open('/account'));
    const asked = await start();
    const decide = async (user_code: string): Promise<number> =>
      (await browser.submit('/auth/device', { csrf, user_code, decision: 'allow' })).status;
    const statuses: number[] = [];
    for (let n = 0; n < 11; n += 1) statuses.push(await decide('BBBB-BBBB'));
    expect(statuses).toEqual([...Array<number>(10).fill(404), 429]);
    expect(await decide(asked['user_code'] ?? '')).toBe(429);
    expect((await poll(asked['device_code'])).json).toEqual({ error: 'authorization_pending' });
  });

  it('has a name that is shown as text', async () => {
    await test.signIn(browser);
    const asked = await start('<script>alert(1)</script>');
    const page = await browser.open(`/auth/device?user_code=${asked['user_code'] ?? ''}`);
    expect(page.text).toContain('&lt;script&gt;');
    expect(page.text).not.toContain('<script>');
  });

  it.each([
    [{}, 'unsupported_grant_type'],
    [{ grant_type: 'password', username: 'a', password: 'b' }, 'unsupported_grant_type'],
    [{ grant_type: deviceGrant }, 'expired_token'],
    [{ grant_type: 'refresh_token', refresh_token: 'x' }, 'invalid_grant'],
    [{ grant_type: 'refresh_token' }, 'invalid_grant'],
  ])('gets an error of OAuth for %j', async (fields, error) => {
    expect(await post('/auth/token', fields as Record<string, string>)).toEqual({ status: 400, json: { error } });
  });
});

describe('the command line of E2B', () => {
  const pageFor = (next: string): string => `/docs/api/cli?next=${encodeURIComponent(next)}&cliVersion=2.19.0`;

  it('gets a token at its port on this computer after a click, and only then', async () => {
    const next = 'http://localhost:43210';
    const signIn = await browser.open(pageFor(next));
    const link = /href="(\/auth\/start[^"]+)"/.exec(signIn.text)?.[1] ?? '';
    const page = await browser.open(link.replaceAll('&amp;', '&'));
    expect(page.headers.get('content-security-policy')).toContain("form-action 'self' http://localhost:43210;");
    for (const csrf of ['', 'x']) expect((await browser.submit('/docs/api/cli', { csrf, next })).status).toBe(403);
    const done = await browser.submit('/docs/api/cli', { csrf: csrfIn(page), next });
    const location = new URL(done.headers.get('location') ?? '');
    expect([done.status, location.origin]).toEqual([303, next]);
    const given = Object.fromEntries(location.searchParams);
    expect(given).toMatchObject({
      ...{ email: 'ada@example.com', clientId: 'e2b-cli', tokenEndpoint: `${peopleOrigin}/auth/token` },
    });
    const refreshed = await post('/auth/token', {
      ...{ grant_type: 'refresh_token', refresh_token: given['refreshToken'] ?? '', client_id: 'e2b-cli' },
    });
    expect(refreshed.json['access_token']).toBe(given['accessToken']);
    expect((await browser.open('/docs/api/cli?state=success&email=x')).text).toContain('is signed in');
  });

  it.each([
    ['https://evil.example'],
    ['http://localhost.evil.example:80'],
    ['http://localhost:80@evil.example'],
    ['http://127.0.0.1:80/path'],
    ['http://localhost'],
    ['http://localhost:99999'],
    ['javascript:alert(1)'],
    ["http://localhost:1;script-src 'unsafe-inline'"],
    [''],
  ])('at %j gets nothing', async (next) => {
    await test.signIn(browser);
    const page = await browser.open(pageFor(next));
    expect(page.status).toBe(400);
    const csrf = csrfIn(await browser.open('/account'));
    expect((await browser.submit('/docs/api/cli', { csrf, next })).status).toBe(400);
  });
});

it('a server without a provider has none of this', async () => {
  await using other = await startTestApi();
  for (const [method, path] of [
    ['GET', '/auth/sign-in'],
    ['GET', '/auth/start'],
    ['GET', '/auth/callback'],
    ['GET', '/account'],
    ['GET', '/auth/device'],
    ['GET', '/docs/api/cli?next=http://localhost:1'],
  ] as const)
    expect([path, (await other.ask(method, path, { key: null })).status]).toEqual([path, 404]);
  const headers = { authorization: `Bearer sbp_${'0'.repeat(40)}` };
  expect((await other.ask('GET', '/teams', { key: null, headers })).status).toBe(401);
});
