import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confused, signed, startHostileProvider, unsigned } from '../testing/hostile-provider.ts';
import type { HostileProvider } from '../testing/hostile-provider.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { createTestBrowser } from '../testing/test-browser.ts';
import type { Page, TestBrowser } from '../testing/test-browser.ts';
import { peopleOrigin } from '../testing/test-people.ts';

let provider: HostileProvider;
let api: TestApi;
let browser: TestBrowser;
beforeEach(async () => {
  provider = await startHostileProvider();
  api = await startTestApi({
    config: {
      ...{ apiUrl: peopleOrigin, oidcIssuer: provider.issuer, oidcClientId: 'soulbox', oidcCreateUsers: true },
    },
  });
  browser = createTestBrowser(peopleOrigin, api.url);
});
afterEach(async () => {
  await api[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

/** Starts a sign-in and lets the provider send the browser back, with `more` in the query. */
async function signIn(more: Readonly<Record<string, string>> = {}): Promise<Page> {
  const started = await browser.open('/auth/start', { hops: 0 });
  const url = new URL(started.headers.get('location') ?? '');
  provider.nonce = url.searchParams.get('nonce') ?? '';
  const back = new URL(`${peopleOrigin}/auth/callback`);
  back.search = new URLSearchParams({ code: 'c', state: url.searchParams.get('state') ?? '', ...more }).toString();
  return await browser.open(back.href);
}
const users = async () => await api.records.users.list();

async function expectRefused(page: Page, status = 400): Promise<void> {
  expect([page.status, page.url.split('?')[0]]).toEqual([status, `${peopleOrigin}/auth/callback`]);
  expect(browser.cookies.has('__Host-soulbox_session')).toBe(false);
  expect(await users()).toEqual([]);
}

it('a provider that tells the truth is believed: the tests below can fail', async () => {
  expect((await signIn()).url).toBe(`${peopleOrigin}/account`);
  expect(await users()).toMatchObject([{ email: 'ada@example.com', subject: 'subject-ada', issuer: provider.issuer }]);
});

describe('an ID token is refused', () => {
  const seconds = Math.floor(Date.now() / 1000);
  it.each([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another audience', { aud: 'other' }],
    ['for several audiences without a party', { aud: ['soulbox', 'other'] }],
    ['that has expired', { iat: seconds - 400, exp: seconds - 100 }],
    ['that was made in the future', { iat: seconds + 600, exp: seconds + 900 }],
    ['without an end', { exp: undefined }],
    ['of another nonce', { nonce: 'other' }],
    ['without a nonce', { nonce: undefined }],
    ['without a subject', { sub: undefined }],
    ['with a subject of 300 characters', { sub: 'x'.repeat(300) }],
    ['with control characters in the subject', { sub: 'a\nb' }],
  ])('%s', async (_what, claims) => {
    provider.claims = claims;
    await expectRefused(await signIn());
  });

  it('that expired within the tolerance of clocks is accepted', async () => {
    provider.claims = { iat: seconds - 300, exp: seconds - 5 };
    expect((await signIn()).url).toBe(`${peopleOrigin}/account`);
  });

  it('without a signature, although the metadata name the algorithm "none"', async () => {
    provider.sign = (_header, payload) => unsigned(payload);
    await expectRefused(await signIn());
  });

  it('that is signed with the public key as an HMAC', async () => {
    const pem = createPublicKey(provider.key).export({ format: 'pem', type: 'spki' }).toString();
    provider.sign = (_header, payload) => confused(pem, payload);
    await expectRefused(await signIn());
  });

  it('that is signed with another key under the same id', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    provider.sign = (header, payload) => signed(privateKey, header, payload);
    await expectRefused(await signIn());
  });

  it('that was changed after it was signed', async () => {
    provider.sign = (header, payload) => {
      const [head = '', , tag = ''] = signed(provider.key, header, payload).split('.');
      return `${head}.${Buffer.from(JSON.stringify({ ...payload, sub: 'mallory' })).toString('base64url')}.${tag}`;
    };
    await expectRefused(await signIn());
  });
});

describe('the way back is refused', () => {
  it.each([
    ['another state', { state: 'other' }],
    ['an empty state', { state: '' }],
    ['an error of the provider', { error: 'access_denied' }],
    ['another issuer in the query', { iss: 'https://evil.example' }],
  ])('with %s', async (_what, more) => {
    await expectRefused(await signIn(more));
    expect(provider.asked).not.toContain('/token');
  });

  it('without a cookie, so that nobody can sign others in (login CSRF)', async () => {
    const started = await browser.open('/auth/start', { hops: 0 });
    const { searchParams } = new URL(started.headers.get('location') ?? '');
    const victim = createTestBrowser(peopleOrigin, api.url);
    const back = `/auth/callback?code=c&state=${searchParams.get('state') ?? ''}`;
    expect((await victim.open(back)).status).toBe(400);
    expect(victim.cookies.size).toBe(0);
    expect(provider.asked).not.toContain('/token');
  });

  it('with a cookie that somebody has changed or made', async () => {
    const started = await browser.open('/auth/start', { hops: 0 });
    const { searchParams } = new URL(started.headers.get('location') ?? '');
    const own = browser.cookies.get('__Host-soulbox_sign_in') ?? '';
    const [payload = '', tag = ''] = own.split('.');
    const text = Buffer.from(payload, 'base64url').toString().replace('/account', '/evilxxx');
    for (const cookie of [
      `${Buffer.from(text).toString('base64url')}.${tag}`,
      payload,
      `${payload}.`,
      'x',
      `${own}x`,
    ]) {
      browser.cookies.set('__Host-soulbox_sign_in', cookie);
      expect((await browser.open(`/auth/callback?code=c&state=${searchParams.get('state') ?? ''}`)).status).toBe(400);
    }
    expect(provider.asked).not.toContain('/token');
  });
});

describe('a provider', () => {
  const slow = { timeout: 20_000 };
  it('that is away gives 503, the reason is logged, and the server goes on', async () => {
    await provider[Symbol.asyncDispose]();
    const page = await browser.open('/auth/start');
    expect([page.status, page.url]).toEqual([503, `${peopleOrigin}/auth/start`]);
    expect(page.text).not.toContain('127.0.0.1');
    expect(await api.readLog()).toContain('a sign-in could not be started');
    expect((await api.ask('GET', '/v2/sandboxes')).status).toBe(200);
  });

  it('that never answers is given up', slow, async () => {
    provider.intercept = () => true;
    const before = Date.now();
    expect((await browser.open('/auth/start')).status).toBe(503);
    expect(Date.now() - before).toBeLessThan(8000);
  });

  it.each(['/.well-known/openid-configuration', '/jwks', '/token'])(
    'that never stops answering at %s is cut off',
    slow,
    async (at) => {
      let sent = 0;
      provider.intercept = (path, response) => {
        if (path !== at) return false;
        response.setHeader('content-type', 'application/json');
        response.write('{"issuer":"');
        const more = (): void => {
          while (!response.destroyed && sent < 64 * 1024 * 1024) {
            sent += 16_384;
            if (!response.write('x'.repeat(16_384))) {
              response.once('drain', more);
              return;
            }
          }
        };
        more();
        return true;
      };
      const page = at.endsWith('configuration') ? await browser.open('/auth/start') : await signIn();
      expect(page.status).toBe(503);
      // What the sockets hold in between is not read.
      expect(sent).toBeLessThan(32 * 1024 * 1024);
    },
  );

  it.each([301, 302, 307])('that redirects with %i to another server is not followed', async (status) => {
    provider.intercept = (path, response) => {
      if (path !== '/token') return false;
      response.writeHead(status, { location: `${provider.issuer}/elsewhere` }).end();
      return true;
    };
    await expectRefused(await signIn());
    expect(provider.asked).not.toContain('/elsewhere');
  });

  it.each([
    ['another issuer', { issuer: 'https://evil.example' }],
    ['a token endpoint without TLS on another host', { token_endpoint: 'http://198.51.100.1/token' }],
    ['no authorization endpoint', { authorization_endpoint: undefined }],
    ['a script as the authorization endpoint', { authorization_endpoint: 'javascript:alert(1)' }],
  ])('whose metadata name %s is not used', async (_what, changed) => {
    provider.intercept = (path, response) => {
      if (!path.endsWith('openid-configuration')) return false;
      const { issuer } = provider;
      const right = { issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...right, ...changed }));
      return true;
    };
    const page = await browser.open('/auth/start');
    expect(page.status).toBeGreaterThanOrEqual(400);
    expect(page.headers.get('location')).toBeNull();
  });

  it('is not asked for its metadata at each sign-in', async () => {
    await signIn();
    await signIn();
    expect(provider.asked.filter((path) => path.includes('well-known'))).toHaveLength(1);
  });
});
