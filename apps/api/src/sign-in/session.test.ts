import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ada, peopleOrigin, startTestPeople } from '../testing/test-people.ts';
import type { TestPeople } from '../testing/test-people.ts';
import type { TestBrowser } from '../testing/test-browser.ts';

let test: TestPeople;
let browser: TestBrowser;
beforeEach(async () => {
  test = await startTestPeople();
  browser = test.openBrowser();
});
afterEach(() => test[Symbol.asyncDispose]());

const session = '__Host-soulbox_session';
const minutes = 60_000;
const inTeam = (more: Record<string, string> = {}) => ({ headers: { 'x-team-id': test.api.teamId, ...more } });
const listStatus = async (): Promise<number> => (await browser.call('GET', '/v2/sandboxes', inTeam())).status;
const csrfOf = async (): Promise<string> =>
  (JSON.parse((await browser.call('GET', '/auth/session')).text) as { csrfToken: string }).csrfToken;

async function signedIn(role: 'admin' | 'developer' | 'viewer' = 'admin') {
  const user = await test.add(ada, { [test.api.teamId]: role });
  expect((await test.signIn(browser)).status).toBe(200);
  return user;
}

describe('a session', () => {
  it('that a stranger planted is not the one after the sign-in, and an old one of the browser ends', async () => {
    await test.add(ada, { [test.api.teamId]: 'viewer' });
    browser.cookies.set(session, 'planted-by-a-stranger');
    await test.signIn(browser);
    const first = browser.cookies.get(session);
    expect(first).not.toBe('planted-by-a-stranger');
    await test.signIn(browser);
    const second = browser.cookies.get(session);
    expect(second).not.toBe(first);
    browser.cookies.set(session, first ?? '');
    expect(await listStatus()).toBe(401);
    browser.cookies.set(session, second ?? '');
    expect(await listStatus()).toBe(200);
  });

  it('that was signed out is over, also for whoever has copied the cookie', async () => {
    await signedIn();
    const copy = browser.cookies.get(session) ?? '';
    const csrf = await csrfOf();
    expect((await browser.call('DELETE', '/auth/session', { headers: { 'x-csrf-token': csrf } })).status).toBe(204);
    browser.cookies.set(session, copy);
    expect(await listStatus()).toBe(401);
  });

  it('ends when the user is removed, and a role that is lowered counts at once', async () => {
    const user = await signedIn('admin');
    expect((await browser.call('GET', '/api-keys', inTeam())).status).toBe(200);
    const membership = { userId: user.id, teamId: test.api.teamId, source: 'operator' as const, createdAt: 1 };
    await test.api.records.memberships.put({ ...membership, role: 'viewer' });
    expect((await browser.call('GET', '/api-keys', inTeam())).status).toBe(403);
    expect(await listStatus()).toBe(200);
    await test.api.records.memberships.remove(user.id, test.api.teamId);
    expect(await listStatus()).toBe(403);
    await test.api.records.users.remove(user.id);
    expect(await listStatus()).toBe(401);
    expect((await browser.open('/account')).url).toContain('/auth/sign-in');
  });

  it('ends when it is idle, and at its end however much it is used', async () => {
    await signedIn();
    for (let n = 0; n < 6; n += 1) {
      test.now.value += 119 * minutes;
      expect(await listStatus(), String(n)).toBe(200);
    }
    test.now.value += 7 * minutes;
    expect(await listStatus()).toBe(401);
    await test.signIn(browser);
    test.now.value += 121 * minutes;
    expect(await listStatus()).toBe(401);
  });

  it('survives a restart of the server', async () => {
    await signedIn();
    await test.api.restart();
    const again = test.openBrowser();
    again.cookies.set(session, browser.cookies.get(session) ?? '');
    expect((await again.call('GET', '/v2/sandboxes', inTeam())).status).toBe(200);
  });

  it('is one of at most twenty of a user', async () => {
    await signedIn();
    const first = browser.cookies.get(session) ?? '';
    for (let n = 0; n < 20; n += 1) {
      test.now.value += 1000;
      await test.signIn(test.openBrowser());
    }
    expect(await listStatus()).toBe(401);
    expect(first).not.toBe('');
  });

  it.each([
    ['two cookies', (value: string) => `${session}=${value}; ${session}=${value}`],
    ['another case', (value: string) => `${session}=${value.toUpperCase()}`],
    ['a character less', (value: string) => `${session}=${value.slice(0, -1)}`],
    ['the name for plain HTTP', (value: string) => `soulbox_session=${value}`],
    ['10,000 characters', () => `${session}=${'x'.repeat(10_000)}`],
  ])('with %s is none', async (_what, cookieOf) => {
    await signedIn();
    const cookie = cookieOf(browser.cookies.get(session) ?? '');
    browser.cookies.clear();
    expect((await browser.call('GET', '/v2/sandboxes', inTeam({ cookie }))).status).toBe(401);
  });
});

describe('a request with the cookie of a session', () => {
  it('needs a team of the person; other teams and teams that do not exist look the same', async () => {
    await signedIn();
    expect((await browser.call('GET', '/v2/sandboxes')).status).toBe(400);
    const answers = await Promise.all(
      [test.api.otherTeamId, 'nothing', "' OR 1=1 --"].map(
        async (id) => await browser.call('GET', '/v2/sandboxes', { headers: { 'x-team-id': id } }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
    const [foreign, missing] = answers.map(({ text }) => text.replace(/\\"[^"]*\\"/, 'TEAM'));
    expect(foreign).toBe(missing);
  });

  it.each([
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['a page without an origin', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['a host of the same site', { origin: 'https://people.example', 'sec-fetch-site': 'same-site' }],
    ['an origin with another port', { origin: 'https://people.example:8443' }],
    ['an origin without TLS', { origin: 'http://people.example' }],
  ])('from %s is refused, even with the token', async (_what, headers) => {
    await signedIn();
    const csrf = await csrfOf();
    for (const [method, body] of [
      ['POST', { name: 'x' }],
      ['GET', undefined],
    ] as const) {
      const options = { ...inTeam({ 'x-csrf-token': csrf, ...headers }), ...(body === undefined ? {} : { body }) };
      expect([method, (await browser.call(method, '/api-keys', options)).status]).toEqual([method, 403]);
    }
  });

  it('that changes something needs the token of this session', async () => {
    await signedIn();
    const csrf = await csrfOf();
    const create = async (headers: Record<string, string>): Promise<number> =>
      (await browser.call('POST', '/api-keys', { ...inTeam(headers), body: { name: 'x' } })).status;
    expect(await create({ 'x-csrf-token': csrf })).toBe(201);
    for (const wrong of ['', 'x', csrf.slice(1), `${csrf}x`]) expect(await create({ 'x-csrf-token': wrong })).toBe(403);
    expect(await create({})).toBe(403);
    await test.signIn(browser);
    expect(await create({ 'x-csrf-token': csrf })).toBe(403);
  });

  it('to sign out needs the token in the form', async () => {
    await signedIn();
    for (const csrf of ['', 'x']) expect((await browser.submit('/auth/sign-out', { csrf })).status).toBe(403);
    const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    expect((await browser.submit('/auth/sign-out', { csrf: await csrfOf() }, foreign)).status).toBe(403);
    expect(await listStatus()).toBe(200);
  });

  it('is not authenticated by the cookie if it has a key, even a wrong one', async () => {
    await signedIn();
    for (const headers of [
      { 'x-api-key': 'e2b_wrong' },
      { authorization: 'Bearer wrong' },
      { authorization: 'Basic x' },
    ])
      expect((await browser.call('GET', '/v2/sandboxes', inTeam(headers as Record<string, string>))).status).toBe(401);
  });

  it('has the scopes of the role', async () => {
    await signedIn('viewer');
    const csrf = { 'x-csrf-token': await csrfOf() };
    expect(await listStatus()).toBe(200);
    for (const [method, path, body] of [
      ['POST', '/v2/sandboxes', { templateID: 'base' }],
      ['POST', '/api-keys', { name: 'x' }],
      ['DELETE', '/sandboxes/i00000000000000000000', undefined],
    ] as const) {
      const options = { ...inTeam(csrf), ...(body === undefined ? {} : { body }) };
      expect([path, (await browser.call(method, path, options)).status]).toEqual([path, 403]);
    }
  });
});

describe('the page after the sign-in', () => {
  it.each([
    ['https://evil.example/'],
    ['//evil.example/'],
    ['/\\evil.example/'],
    ['/%5cevil.example'],
    ['\\\\evil.example'],
    ['javascript:alert(1)'],
    ['/account@evil.example'],
    ['/account/../../sandboxes-http/49983-i00000000000000000000/'],
    ['/account\r\nset-cookie: x=y'],
    [`/account?${'x'.repeat(1000)}`],
    [''],
  ])('is ours, whatever is asked for: %j', async (text) => {
    await test.add(ada, {});
    const page = await browser.open(`/auth/start?return_to=${encodeURIComponent(text)}`);
    expect([page.status, page.url]).toEqual([200, `${peopleOrigin}/account`]);
  });

  it('is the one that was asked for, if it is ours', async () => {
    await test.add(ada, {});
    const page = await browser.open(`/auth/start?return_to=${encodeURIComponent('/auth/device?user_code=BCDF-GHJK')}`);
    expect(page.url).toBe(`${peopleOrigin}/auth/device?user_code=BCDF-GHJK`);
  });
});

describe('a way back from the provider', () => {
  it('works once: the code is not accepted again', async () => {
    await test.add(ada, {});
    const before = new Map<string, string>();
    let page = await browser.open('/auth/start', { hops: 0 });
    for (const [name, value] of browser.cookies) before.set(name, value);
    while (!(page.headers.get('location') ?? '').startsWith(`${peopleOrigin}/auth/callback`))
      page = await browser.open(new URL(page.headers.get('location') ?? '', page.url).href, { hops: 0 });
    const back = page.headers.get('location') ?? '';
    expect((await browser.open(back)).url).toBe(`${peopleOrigin}/account`);
    const thief = test.openBrowser();
    for (const [name, value] of before) thief.cookies.set(name, value);
    const again = await thief.open(back);
    expect([again.status, thief.cookies.has(session)]).toEqual([400, false]);
  });

  it('is too late after ten minutes', async () => {
    await test.add(ada, {});
    let page = await browser.open('/auth/start', { hops: 0 });
    while (!(page.headers.get('location') ?? '').startsWith(`${peopleOrigin}/auth/callback`))
      page = await browser.open(new URL(page.headers.get('location') ?? '', page.url).href, { hops: 0 });
    test.now.value += 10 * minutes + 1;
    const late = await browser.open(page.headers.get('location') ?? '');
    expect([late.status, late.text]).toEqual([400, expect.stringContaining('took too long') as string]);
  });

  it('that fails again and again is throttled for its address, and nobody else', async () => {
    const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
    const statuses: number[] = [];
    for (let n = 0; n < 15; n += 1)
      statuses.push((await browser.open('/auth/callback?code=c&state=s', from('203.0.113.7'))).status);
    expect(statuses).toEqual([...Array<number>(10).fill(400), ...Array<number>(5).fill(429)]);
    expect((await browser.open('/auth/callback?code=c&state=s', from('203.0.113.8'))).status).toBe(400);
    test.now.value += minutes;
    expect((await browser.open('/auth/callback?code=c&state=s', from('203.0.113.7'))).status).toBe(400);
  });
});
