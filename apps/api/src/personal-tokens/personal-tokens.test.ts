import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminToken } from '../testing/test-api.ts';
import { ada, startTestPeople } from '../testing/test-people.ts';
import type { TestPeople } from '../testing/test-people.ts';
import type { TestBrowser } from '../testing/test-browser.ts';

let test: TestPeople;
let browser: TestBrowser;
let csrf: string;
beforeEach(async () => {
  test = await startTestPeople();
  browser = test.openBrowser();
  await test.add(ada, { [test.api.teamId]: 'developer', [test.api.otherTeamId]: 'viewer' });
  await test.signIn(browser);
  csrf = (JSON.parse((await browser.call('GET', '/auth/session')).text) as { csrfToken: string }).csrfToken;
});
afterEach(() => test[Symbol.asyncDispose]());

interface Made {
  readonly id: string;
  readonly token: string;
  readonly suffix: string;
}

async function create(more: object = {}): Promise<Made> {
  const made = await browser.call('POST', '/personal-tokens', {
    headers: { 'x-csrf-token': csrf },
    body: { name: 'laptop', ...more },
  });
  expect(made.status).toBe(201);
  return JSON.parse(made.text) as Made;
}

const asKey = async (method: string, path: string, key: string, more: { body?: object } = {}) =>
  await test.api.ask(method, path, { key, ...more });
const asBearer = async (method: string, path: string, token: string, teamId?: string) =>
  await test.api.ask(method, path, {
    key: null,
    headers: { authorization: `Bearer ${token}`, ...(teamId === undefined ? {} : { 'x-team-id': teamId }) },
  });

describe('a personal token', () => {
  it('is shown once, lists the teams, and acts for each with the role of its user', async () => {
    const { token, id, suffix } = await create();
    expect(token).toMatch(/^sbp_[0-9a-f]{40}$/);
    const listed = await asBearer('GET', '/personal-tokens', token);
    expect(listed.json).toMatchObject([{ id, name: 'laptop', suffix: token.slice(-4) }]);
    expect(suffix).toBe(token.slice(-4));
    for (const text of [listed.text, await test.api.readLog()]) expect(text).not.toContain(token);

    expect((await asBearer('GET', '/v2/sandboxes', token, test.api.teamId)).status).toBe(200);
    expect((await asBearer('GET', '/v2/sandboxes', token)).json).toMatchObject({ code: 400 });
    const teams = (await asBearer('GET', '/teams', token)).json as {
      teamID: string;
      apiKey: string;
      isDefault: boolean;
    }[];
    expect(teams.map(({ isDefault }) => isDefault)).toEqual([true, false]);
    expect(teams).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ teamID: test.api.otherTeamId, apiKey: `${token}_${test.api.otherTeamId}` }),
        expect.objectContaining({ teamID: test.api.teamId, name: 'default', apiKey: `${token}_${test.api.teamId}` }),
      ]),
    );
    const keyOf = (teamId: string): string => teams.find(({ teamID }) => teamID === teamId)?.apiKey ?? '';
    expect(
      (await asKey('POST', '/v2/sandboxes', keyOf(test.api.teamId), { body: { templateID: 'base' } })).status,
    ).toBe(201);
    expect((await asKey('GET', '/v2/sandboxes', keyOf(test.api.otherTeamId))).json).toEqual([]);
    expect(
      (await asKey('POST', '/v2/sandboxes', keyOf(test.api.otherTeamId), { body: { templateID: 'base' } })).status,
    ).toBe(403);
    expect((await asKey('GET', '/api-keys', keyOf(test.api.teamId))).status).toBe(403);
  });

  it('ends when it is revoked, when it expires, and with its user', async () => {
    const { token: first, id } = await create();
    const { token: second } = await create({ expiresInDays: 1 });
    const { token: third } = await create({ expiresInDays: 365 });
    const statusOf = async (token: string) => (await asBearer('GET', '/teams', token)).status;
    expect([await statusOf(first), await statusOf(second), await statusOf(third)]).toEqual([200, 200, 200]);
    const headers = { 'x-csrf-token': csrf };
    expect((await browser.call('DELETE', `/personal-tokens/${id}`, { headers })).status).toBe(204);
    expect((await browser.call('DELETE', `/personal-tokens/${id}`, { headers })).status).toBe(404);
    test.now.value += 24 * 3600 * 1000;
    expect([await statusOf(first), await statusOf(second), await statusOf(third)]).toEqual([401, 401, 200]);
    const [user] = await test.api.records.users.list();
    await test.api.records.users.remove(user?.id ?? '');
    expect(await statusOf(third)).toBe(401);
  });

  it('cannot change what only the administrator may change, even for an admin of the team', async () => {
    const { token } = await create();
    const [user] = await test.api.records.users.list();
    const membership = { userId: user?.id ?? '', teamId: test.api.teamId, source: 'operator' as const, createdAt: 1 };
    await test.api.records.memberships.put({ ...membership, role: 'admin' });
    const path = `/teams/${test.api.teamId}/limits`;
    const body = { sandboxes: 100_000 };
    expect((await asKey('PATCH', path, `${token}_${test.api.teamId}`, { body })).status).toBe(401);
    const inTeam = { 'x-team-id': test.api.teamId, 'x-csrf-token': csrf };
    expect((await browser.call('PATCH', path, { headers: inTeam, body })).status).toBe(401);
    expect((await asKey('PATCH', path, adminToken, { body })).status).toBe(200);
    expect((await asKey('POST', '/host/backup-stage', `${token}_${test.api.teamId}`)).status).toBe(401);
  });

  it('cannot create another, so that a stolen one ends at its end', async () => {
    const { token } = await create();
    const made = await test.api.ask('POST', '/personal-tokens', {
      ...{ key: null, headers: { authorization: `Bearer ${token}` }, body: { name: 'x' } },
    });
    expect(made.json).toMatchObject({ code: 403 });
  });

  it('of another person can be neither seen nor revoked', async () => {
    const { id } = await create();
    test.provider.account = { sub: 'subject-eve', email: 'eve@example.com', email_verified: true };
    await test.add(test.provider.account, {});
    const other = test.openBrowser();
    await test.signIn(other);
    const session = JSON.parse((await other.call('GET', '/auth/session')).text) as { csrfToken: string };
    expect((await other.call('GET', '/personal-tokens')).text).toBe('[]');
    const headers = { 'x-csrf-token': session.csrfToken };
    expect((await other.call('DELETE', `/personal-tokens/${id}`, { headers })).status).toBe(404);
  });

  it('is limited to fifty of a person', async () => {
    for (let n = 0; n < 50; n += 1) await create();
    const headers = { 'x-csrf-token': csrf };
    expect((await browser.call('POST', '/personal-tokens', { headers, body: { name: 'x' } })).status).toBe(429);
    const texts = (await test.api.records.audit.listWaiting(test.api.teamId, 0, 999)).map(({ text }) => text);
    expect(texts.filter((text) => text.includes('token.create'))).toHaveLength(50);
  });

  it.each([
    ['in another case', (token: string) => token.toUpperCase()],
    ['a character longer', (token: string) => `${token}0`],
    ['a character shorter', (token: string) => token.slice(0, -1)],
    ['with an empty team', (token: string) => `${token}_`],
    ['with a team of 100 characters', (token: string) => `${token}_${'x'.repeat(100)}`],
    ['that was never made', () => `sbp_${'0'.repeat(40)}`],
    ['of 10,000 characters', () => `sbp_${'0'.repeat(10_000)}`],
  ])('%s is refused', async (_what, change) => {
    const { token } = await create();
    expect((await asBearer('GET', '/teams', change(token))).status).toBe(401);
  });

  it('for one team in the key and another in the header is refused, and a team of others too', async () => {
    const { token } = await create();
    const headers = { 'x-team-id': test.api.otherTeamId };
    expect((await test.api.ask('GET', '/v2/sandboxes', { key: `${token}_${test.api.teamId}`, headers })).status).toBe(
      400,
    );
    expect((await asKey('GET', '/v2/sandboxes', `${token}_nothing`)).status).toBe(403);
  });

  it.each([[0], [366], [1.5], ['x'], [null]])('cannot be valid for %j days', async (expiresInDays) => {
    const headers = { 'x-csrf-token': csrf };
    const made = await browser.call('POST', '/personal-tokens', { headers, body: { name: 'x', expiresInDays } });
    expect(made.status).toBe(400);
  });
});

describe('invalid input of a person', () => {
  const send = async (body: string, type = 'application/json') =>
    await fetch(`${test.api.url}/personal-tokens`, {
      method: 'POST',
      headers: {
        ...{ cookie: [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; '), 'x-csrf-token': csrf },
        ...{ origin: 'https://people.example', 'content-type': type },
      },
      body,
    });

  it('is refused with the status that says why', async () => {
    for (const body of ['{', '[]', 'null', '5', '{}', '{"name":5}', '{"name":""}', '{"name":"a\\u0000b"}', '{"a":1}x'])
      expect([body, (await send(body)).status]).toEqual([body, 400]);
    expect((await send('{"name":"x"}', 'text/plain')).status).toBe(415);
    expect((await send(`{"name":"${'x'.repeat(1024 * 1024)}"}`)).status).toBe(413);
    expect((await send('{"name":"x"}')).status).toBe(201);
  });

  it.each(['..%2F..', '%00', 'a%0Ab', "'%20OR%201=1", 'x'.repeat(500)])('as an id %j gives 404', async (id) => {
    const headers = { 'x-csrf-token': csrf };
    expect((await browser.call('DELETE', `/personal-tokens/${id}`, { headers })).status).toBe(404);
  });
});

describe('an API key', () => {
  it('is not a person', async () => {
    expect((await test.api.ask('GET', '/auth/session')).status).toBe(401);
    expect((await test.api.ask('GET', '/personal-tokens')).status).toBe(401);
    expect((await test.api.ask('POST', '/personal-tokens', { body: { name: 'x' } })).status).toBe(401);
  });
});
