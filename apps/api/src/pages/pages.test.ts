import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { markup } from './html.ts';
import type { Html } from './html.ts';

let api: TestApi;
let id: string;
const hostile = '<script>alert(1)</script>"\'&';
beforeEach(async () => {
  // The clock stands still: wrong keys would get new budget while a slow machine sends them.
  const now = Date.now();
  api = await startTestApi({ clock: { now: () => now } });
  const body = { templateID: 'base', metadata: { [hostile]: hostile } };
  id = ((await api.ask('POST', '/v2/sandboxes', { body })).json as { sandboxID: string }).sandboxID;
});
afterEach(() => api[Symbol.asyncDispose]());

const pathOf = (sandboxId: string): string => `/dashboard/inspect/sandbox/${sandboxId}`;

interface SignIn {
  readonly key: string;
  readonly headers?: Record<string, string>;
  readonly sandboxId?: string;
}

async function signIn({ key, headers = {}, sandboxId = id }: SignIn): Promise<Response> {
  return await fetch(api.url + pathOf(sandboxId), {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams({ key }).toString(),
  });
}

async function see(cookie: string | undefined, path = pathOf(id)): Promise<Response> {
  return await fetch(api.url + path, { headers: cookie === undefined ? {} : { cookie } });
}

test('the front page describes the server and links to the API document and to the docs', async () => {
  const answer = await api.ask('GET', '/', { key: null });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(answer.text).toContain('This is a SoulBox server');
  const links = [...answer.text.matchAll(/href="(\/[^"]+)"/g)].map((match) => match[1] ?? '');
  expect(links).toEqual(expect.arrayContaining(['/openapi.json', '/docs/operations', '/docs/security']));
  for (const link of links) expect((await api.ask('GET', link, { key: null })).status, link).toBe(200);
  const page = await api.ask('GET', '/docs/errors', { key: null });
  expect([page.headers.get('content-type'), page.text.slice(0, 8)]).toEqual(['text/plain; charset=utf-8', '# Errors']);
  for (const name of ['nothing', '..%2Fpackage', 'decisions', 'ARCHITECTURE.md'])
    expect((await api.ask('GET', `/docs/${name}`, { key: null })).status, name).toBe(404);
});

test('a sandbox is shown to a browser that has sent a key of its team, with everything escaped', async () => {
  const form = await see(undefined);
  expect(form.status).toBe(401);
  expect(await form.text()).toContain('<form method="post">');

  const signedIn = await signIn({ key: api.key });
  expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, pathOf(id)]);
  const cookie = signedIn.headers.get('set-cookie') ?? '';
  expect(cookie).toBe(`soulbox_key=${api.key}; Path=/dashboard; Max-Age=28800; HttpOnly; SameSite=Strict`);
  const page = await see(`soulbox_key=${api.key}`);
  expect(page.status).toBe(200);
  const text = await page.text();
  expect(text).toContain(`Sandbox ${id}`);
  expect(text).toContain('<dt>State</dt><dd>running</dd>');
  expect(text).toContain('sandbox.lifecycle.created (request)');
  expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;');
  expect(text).not.toContain('<script');
  expect(text).not.toContain(api.key);
});

test('each page forbids scripts, external content, frames, and caching', async () => {
  for (const answer of [await see(undefined, '/'), await see(undefined), await see(`soulbox_key=${api.key}`)]) {
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    await answer.body?.cancel();
  }
});

test('over TLS the cookie is for TLS only', async () => {
  const answer = await signIn({ key: api.key, headers: { 'x-forwarded-proto': 'https' } });
  expect(answer.headers.get('set-cookie')).toMatch(/; Secure$/);
});

test.each(['e2b_0000000000000000000000000000000000000000', '', 'a b', `x\r\nset-cookie: y=1`, 'x'.repeat(300)])(
  'the invalid key %j shows nothing',
  async (key) => {
    const answer = await signIn({ key });
    expect([answer.status, answer.headers.get('set-cookie')]).toEqual([401, null]);
    expect(await answer.text()).toContain('The API key is not valid.');
  },
);

test("another team's sandbox and an unknown one look alike, and a revoked key is invalid", async () => {
  const other = `soulbox_key=${api.otherKey}`;
  const [theirs, none] = [await see(other), await see(other, pathOf('nothing'))];
  expect([theirs.status, none.status]).toEqual([404, 404]);
  expect((await theirs.text()).replaceAll(id, 'ID')).toBe((await none.text()).replaceAll('nothing', 'ID'));
  for (const record of await api.records.apiKeys.list(api.otherTeamId))
    await api.records.apiKeys.remove(api.otherTeamId, record.id);
  expect((await see(other)).status).toBe(401);
});

test('two cookies with the name are ignored: a subdomain could have added one', async () => {
  expect((await see(`soulbox_key=${api.otherKey}; soulbox_key=${api.key}`)).status).toBe(401);
});

test('a form of another page is refused, and no route of the API accepts the cookie or a form', async () => {
  for (const origin of ['https://evil.example', 'null', 'nonsense'])
    expect((await signIn({ key: api.key, headers: { origin } })).status, origin).toBe(403);
  expect((await signIn({ key: api.key, headers: { origin: api.url } })).status).toBe(303);
  const cookie = `soulbox_key=${api.key}`;
  expect((await see(cookie, '/v2/sandboxes')).status).toBe(401);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  expect((await api.ask('POST', '/v2/sandboxes', { body: 'templateID=base', headers: form })).status).toBe(415);
});

test('the key is forgotten on request, and wrong keys count towards the usual limit', async () => {
  const answer = await fetch(`${api.url}/dashboard/sign-out`, { method: 'POST', redirect: 'manual' });
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/']);
  expect(answer.headers.get('set-cookie')).toMatch(/^soulbox_key=; Path=\/dashboard; Max-Age=0; HttpOnly/);
  const statuses = new Set<number>();
  for (let round = 0; round < 300; round += 1) statuses.add((await signIn({ key: `e2b_${round}` })).status);
  expect(statuses).toEqual(new Set([401, 429]));
});

test('an invalid id is shown as such and does not redirect elsewhere', async () => {
  const answer = await signIn({ key: api.key, sandboxId: encodeURIComponent('//evil.example/<b>') });
  expect(answer.status).toBe(303);
  expect(answer.headers.get('location')).toBe('/dashboard/inspect/sandbox/%2F%2Fevil.example%2F%3Cb%3E');
  const page = await (await see(undefined, pathOf(encodeURIComponent('<b>x</b>')))).text();
  expect(page).toContain('&lt;b&gt;x&lt;/b&gt;');
});

test('only what markup has made is inserted unescaped', () => {
  expect(markup`<p>${markup`<b>${hostile}</b>`}</p>`.text).not.toContain('<script>');
  // @ts-expect-error -- it has the properties of HTML, but is none
  const forged: Html = { text: hostile };
  expect(() => markup`<p>${forged}</p>`).toThrow(TypeError);
});
