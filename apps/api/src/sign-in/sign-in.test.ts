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
const team = () => ({ headers: { 'x-team-id': test.api.teamId } });
const csrfOf = async (): Promise<string> =>
  (JSON.parse((await browser.call('GET', '/auth/session')).text) as { csrfToken: string }).csrfToken;

describe('a person', () => {
  it('who was added by address signs in, is seen with their teams, and signs out', async () => {
    const user = await test.add(ada, { [test.api.teamId]: 'developer' });
    expect((await browser.open('/account')).text).toContain('Sign in');
    const page = await test.signIn(browser);
    expect([page.status, page.url]).toEqual([200, `${peopleOrigin}/account`]);
    expect(page.text).toContain('ada@example.com');
    expect(page.text).toContain('developer');
    expect(await test.api.records.users.find(user.id)).toMatchObject({ subject: ada.sub, name: 'Ada' });
    const seen = JSON.parse((await browser.call('GET', '/auth/session')).text) as object;
    expect(seen).toMatchObject({
      user: { id: user.id, email: 'ada@example.com', name: 'Ada' },
      via: 'session',
      teams: [{ teamID: test.api.teamId, role: 'developer', scopes: ['create', 'run', 'read'] }],
    });
    const cookie = browser.cookies.get(session);
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const out = await browser.submit('/auth/sign-out', { csrf });
    expect([out.status, out.headers.get('location')]).toEqual([303, '/auth/signed-out']);
    expect(browser.cookies.size).toBe(0);
    browser.cookies.set(session, cookie ?? '');
    expect((await browser.call('GET', '/auth/session')).status).toBe(401);
    const signedOut = await browser.open('/auth/signed-out', { hops: 0 });
    expect(signedOut.text).toContain(`${test.provider.issuer}/session/end?`);
  });

  it('has a cookie that scripts cannot read and other hosts cannot set', async () => {
    await test.add(ada, {});
    const page = await browser.open('/auth/start', { hops: 0 });
    expect(page.headers.get('set-cookie')).toMatch(
      /^__Host-soulbox_sign_in=[\w.-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    );
    let back = page;
    while (!back.url.startsWith(`${peopleOrigin}/auth/callback`))
      back = await browser.open(new URL(back.headers.get('location') ?? '', back.url).href, { hops: 0 });
    expect(back.headers.getSetCookie()).toEqual([
      '__Host-soulbox_sign_in=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure',
      expect.stringMatching(
        /^__Host-soulbox_session=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure$/,
      ) as string,
    ]);
    const value = browser.cookies.get(session) ?? '';
    expect(await test.api.readLog()).not.toContain(value);
    expect(await test.api.readLog()).not.toContain(test.provider.clientSecret);
  });

  it('calls the API for a team with the scopes of the role, and the audit log names the user', async () => {
    const user = await test.add(ada, { [test.api.teamId]: 'admin' });
    await test.signIn(browser);
    expect((await browser.call('GET', '/v2/sandboxes', team())).status).toBe(200);
    const csrf = await csrfOf();
    const made = await browser.call('POST', '/api-keys', {
      headers: { 'x-team-id': test.api.teamId, 'x-csrf-token': csrf },
      body: { name: 'by ada' },
    });
    expect(made.status).toBe(201);
    const audit = await test.api.ask('GET', '/audit/records?from=0');
    const records = (audit.json as { action: string; actor: object; rule: string }[]).map(
      ({ action, actor, rule }) => ({ action, actor, rule }),
    );
    expect(records).toContainEqual({ action: 'user.sign-in', actor: { kind: 'user', id: user.id }, rule: 'provider' });
    expect(records).toContainEqual({ action: 'key.create', actor: { kind: 'user', id: user.id }, rule: 'session' });
    expect(audit.text).not.toContain('ada@example.com');
  });
});
