import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adminToken, startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { makePerson, signedInPeople } from '../testing/test-person.ts';
import type { TestPerson } from '../testing/test-person.ts';

/** What a person gets to see as a caller for a team, beyond which routes they may call (`people-access.test.ts`). */
const now = { value: Date.now() };
let api: TestApi;
beforeEach(async () => {
  now.value = Date.now();
  api = await startTestApi({ clock: { now: () => now.value }, config: signedInPeople });
});
afterEach(() => api[Symbol.asyncDispose]());

const dayMs = 24 * 3600 * 1000;
const newSandbox = { templateID: 'base', timeout: 600, network: { allowPublicTraffic: false } };
const idOf = (json: unknown, member = 'id'): string => String((json as Record<string, unknown>)[member]);
const makeSandbox = async (): Promise<string> =>
  idOf((await api.ask('POST', '/v2/sandboxes', { body: newSandbox })).json, 'sandboxID');
const makeMember = async (role: 'admin' | 'developer' | 'viewer') => await makePerson(api, { [api.teamId]: role });
const put = async ({ userId }: TestPerson, role: 'admin' | 'developer' | 'viewer') =>
  await api.records.memberships.put({ userId, teamId: api.teamId, role, source: 'operator', createdAt: 1 });

describe('a URL that a person signs', () => {
  const ways = (person: TestPerson) =>
    [
      ['token', { key: person.key }],
      ['session', { key: null, headers: person.session }],
    ] as const;
  const sign = async (options: object, url: string) =>
    await api.ask('POST', '/signed-urls', { ...options, body: { url } });
  const portUrl = (id: string): string => `https://8080-${id}.box.example/`;
  /** The path at the API of a signed URL, as a client without any credential uses it. */
  const statusOf = async (url: string): Promise<number> => {
    const { pathname, search } = new URL(url);
    return (await api.ask('GET', pathname + search, { key: null })).status;
  };
  const signerOf = (url: string) => {
    const query = new URL(url).searchParams;
    return { keyId: query.get('soulbox-key') ?? '', signerId: query.get('soulbox-by') ?? '' };
  };
  const checkPort = async (url: string, id: string): Promise<string> => {
    const { host, pathname, search } = new URL(url);
    const facts = { address: '', contentTypes: [], contentEncodings: [], announcedBytes: undefined, isUpgrade: false };
    const request = {
      method: 'GET',
      authority: host,
      target: pathname + search,
      isSharedHost: false,
      isPreflight: false,
    };
    const destination = { kind: 'sandbox', sandboxId: id, port: 8080 } as const;
    return await api.signedUrls.check({ ...request, destination, facts }).then(
      () => 'allowed',
      (error: unknown) => (error as { reason: string }).reason,
    );
  };

  it('is not used by a request that its role no longer allows, and hides who uses it as nobody of the team', async () => {
    const person = await makeMember('admin');
    const body = { url: '/audit/export', once: true };
    const url = idOf((await api.ask('POST', '/signed-urls', { key: person.key, body })).json, 'url');
    await put(person, 'viewer');
    expect(await statusOf(url)).toBe(403);
    expect(await api.records.usedNonces.count(api.teamId)).toBe(0);
    await put(person, 'admin');
    expect(await statusOf(url)).toBe(200);
    const texts = (await api.records.audit.listWaiting(api.teamId, 0, 99)).map(({ text }) => text);
    const uses = texts.filter((text) => text.includes('signed-url.use')).map((text) => JSON.parse(text) as object);
    const key = await api.records.audit.findSubjectKey(api.teamId, signerOf(url).keyId);
    expect(uses).toMatchObject([{ actor: { kind: 'user', id: person.userId }, piiKeyId: key?.id }]);
  });

  it('opens what their role may: logs for a viewer, ports for a developer, the audit log for an admin', async () => {
    const id = await makeSandbox();
    const people = [await makeMember('viewer'), await makeMember('developer'), await makeMember('admin')];
    const urls = [`/sandboxes/${id}/logs`, portUrl(id), '/audit/export'];
    for (const [rank, person] of people.entries())
      for (const [way, options] of ways(person)) {
        const statuses = await Promise.all(urls.map(async (url) => (await sign(options, url)).status));
        expect([way, ...statuses]).toEqual([way, ...urls.map((_, needs) => (rank >= needs ? 201 : 403))]);
      }
    const signed = idOf((await sign({ key: people[0]?.key }, `/sandboxes/${id}/logs`)).json, 'url');
    expect(await statusOf(signed)).toBe(200);
  });

  it('ends with their session or token, with their role, and with their membership', async () => {
    const id = await makeSandbox();
    const lowered = await makeMember('developer');
    const gone = await makeMember('developer');
    const signedOut = await makeMember('developer');
    const removed = await makeMember('developer');
    const of = async (person: TestPerson, way: 0 | 1) =>
      idOf((await sign(ways(person)[way][1], portUrl(id))).json, 'url');
    const urls = [await of(lowered, 0), await of(gone, 1), await of(signedOut, 1), await of(removed, 0)];
    const stays = [await of(signedOut, 0)];
    for (const url of [...urls, ...stays]) expect(await checkPort(url, id)).toBe('allowed');
    expect(await api.signedUrls.findEnded([...urls, ...stays].map(signerOf))).toEqual([]);
    await put(lowered, 'viewer');
    await api.records.memberships.remove(gone.userId, api.teamId);
    await api.records.sessions.endOfUser(signedOut.userId);
    await api.records.users.remove(removed.userId);
    expect(await checkPort(urls[0] ?? '', id)).toBe('scope_missing');
    for (const url of urls.slice(1)) expect(await checkPort(url, id)).toBe('unauthorized');
    for (const url of stays) expect(await checkPort(url, id)).toBe('allowed');
    expect(await api.signedUrls.findEnded([...urls, ...stays].map(signerOf))).toEqual(urls.map(signerOf));
    now.value += dayMs;
    for (const url of stays) expect(await checkPort(url, id)).toBe('unauthorized');
  });

  it('does not keep a session alive that nobody uses', async () => {
    const id = await makeSandbox();
    const url = idOf(
      (await sign({ key: null, headers: (await makeMember('viewer')).session }, `/sandboxes/${id}/logs`)).json,
      'url',
    );
    expect(await statusOf(url)).toBe(200);
    now.value += 3000 * 1000;
    // The sandbox has ended meanwhile.
    expect(await statusOf(url)).toBe(404);
    now.value += 3000 * 1000;
    expect(await statusOf(url)).toBe(401);
  });

  it('needs the token of the session against other sites, and never opens another team', async () => {
    const id = await makeSandbox();
    const { session } = await makeMember('developer');
    const { 'x-csrf-token': _token, ...without } = session;
    expect((await sign({ key: null, headers: without }, portUrl(id))).status).toBe(403);
    const stranger = await makePerson(api, { [api.otherTeamId]: 'admin' });
    expect((await sign({ key: stranger.key }, portUrl(id))).status).toBe(403);
  });
});

describe('a person', () => {
  it('gets the tokens of sandboxes as a developer, and as a viewer does not', async () => {
    const id = await makeSandbox();
    const [developer, viewer] = [await makeMember('developer'), await makeMember('viewer')];
    for (const options of [{ key: developer.key }, { key: null, headers: developer.session }])
      expect((await api.ask('GET', `/sandboxes/${id}`, options)).text).toContain('access-token');
    for (const options of [{ key: viewer.key }, { key: null, headers: viewer.session }]) {
      const shown = await api.ask('GET', `/sandboxes/${id}`, options);
      expect(shown.status).toBe(200);
      expect(shown.text).not.toMatch(/access-token|traffic-token/);
    }
  });

  it('shares the rates and limits of the team with its keys', async () => {
    const { key } = await makeMember('developer');
    const limits = { sandboxes: 1, requests_per_second: 1, requests_burst: 4 };
    expect((await api.ask('PATCH', `/teams/${api.teamId}/limits`, { key: adminToken, body: limits })).status).toBe(200);
    expect((await api.ask('POST', '/v2/sandboxes', { key, body: newSandbox })).status).toBe(201);
    expect((await api.ask('POST', '/v2/sandboxes', { key, body: newSandbox })).json).toMatchObject({
      ...{ code: 429, message: expect.stringContaining('sandboxes') as string },
    });
    const statuses: number[] = [];
    for (let n = 0; n < 3; n += 1) statuses.push((await api.ask('GET', '/v2/sandboxes', { key })).status);
    expect(statuses).toEqual([200, 200, 429]);
    expect((await api.ask('GET', '/v2/sandboxes')).status).toBe(429);
    expect((await api.ask('GET', '/v2/sandboxes', { key: api.otherKey })).status).toBe(200);
  });

  it('may repeat a create with an idempotency key', async () => {
    const { key } = await makeMember('developer');
    const create = async () =>
      await api.ask('POST', '/v2/sandboxes', { key, body: newSandbox, headers: { 'idempotency-key': 'once' } });
    const [first, second] = [await create(), await create()];
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(idOf(second.json, 'sandboxID')).toBe(idOf(first.json, 'sandboxID'));
  });

  it('makes keys that are no stronger: with a token none that outlasts it, in a session as long as wanted', async () => {
    const person = await makeMember('admin');
    const listed = async (id: string) => (await api.records.apiKeys.find(api.teamId, id))?.expiresAt;
    const create = async (options: object, body: object) =>
      await api.ask('POST', '/api-keys', { ...options, body: { name: 'k', ...body } });
    const byToken = await create({ key: person.key }, {});
    expect(byToken.status).toBe(201);
    expect(Math.abs(((await listed(idOf(byToken.json))) ?? 0) - (now.value + dayMs))).toBeLessThan(5000);
    const later = new Date(now.value + 2 * dayMs).toISOString();
    expect((await create({ key: person.key }, { expiresAt: later })).json).toEqual({
      ...{ code: 403, message: 'This personal token cannot create a key that expires later than itself.' },
    });
    const inSession = { key: null, headers: person.session };
    expect((await create(inSession, { expiresAt: later })).status).toBe(201);
    const unlimited = await create(inSession, {});
    expect(await listed(idOf(unlimited.json))).toBeUndefined();
    expect((await api.records.apiKeys.find(api.teamId, idOf(unlimited.json)))?.scopes).toHaveLength(4);
  });

  it('is told which scope the role lacks', async () => {
    const { key, session } = await makeMember('viewer');
    const message = (kind: string): string => `This requires the scope "create". The ${kind} has read.`;
    const refused = { code: 403, message: message('personal token') };
    expect((await api.ask('POST', '/v2/sandboxes', { key, body: newSandbox })).json).toEqual(refused);
    expect((await api.ask('POST', '/v2/sandboxes', { key: null, headers: session, body: newSandbox })).json).toEqual({
      ...{ code: 403, message: message('session') },
    });
  });
});

describe('wrong personal tokens', () => {
  const wrong = (n: number): string => `sbp_${n.toString(16).padStart(8, '0')}${'0'.repeat(32)}_${api.teamId}`;
  const ask = async (key: string, address = '192.0.2.1') =>
    await api.ask('GET', '/v2/sandboxes', { key, headers: { 'x-forwarded-for': address } });

  it('are throttled as wrong keys are, and lock out neither a right token nor other addresses', async () => {
    const { key } = await makeMember('viewer');
    expect((await ask(key)).status).toBe(200);
    for (let n = 0; n < 100; n += 1) expect((await ask(wrong(n))).status).toBe(401);
    const refused = await ask(wrong(100));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await ask(`e2b_${'0'.repeat(40)}`)).status).toBe(429);
    expect((await ask(key)).status).toBe(200);
    expect((await ask(key, '198.51.100.7')).status).toBe(200);
    const { key: untried } = await makeMember('viewer');
    expect((await ask(untried)).status).toBe(429);
    now.value += 1000;
    expect((await ask(untried)).status).toBe(200);
  });
});

describe('a streamed run of a person', () => {
  async function run(headers: Readonly<Record<string, string>>) {
    const answer = await fetch(`${api.url}/sandboxes/${await makeSandbox()}/run`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', accept: 'application/x-ndjson' },
      body: JSON.stringify({ code: 'for ever', timeout: 600 }),
    });
    let text = '';
    const ended = (async () => {
      const chunks = (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream());
      for await (const chunk of chunks) text += chunk;
    })();
    await until(() => text.includes('stdout'));
    return { last: async () => (await ended, JSON.parse(text.trim().split('\n').at(-1) ?? '') as unknown) };
  }
  const ended = (message: RegExp) => ({ type: 'error', code: 401, message: expect.stringMatching(message) as string });

  it.each([
    ['the role is lowered', /role/, async (person: TestPerson) => await put(person, 'viewer')],
    [
      'the membership ends',
      /role/,
      async ({ userId }: TestPerson) => await api.records.memberships.remove(userId, api.teamId),
    ],
    ['the user is removed', /ended/, async ({ userId }: TestPerson) => await api.records.users.remove(userId)],
    ['the token or session expires', /ended/, () => void (now.value += dayMs)],
  ] as const)('ends when %s, by token and by session', async (_what, message, end) => {
    const [first, second] = [await makeMember('developer'), await makeMember('developer')];
    const [byToken, bySession] = [await run({ 'x-api-key': first.key }), await run(second.session)];
    for (const person of [first, second]) await end(person);
    expect(await byToken.last()).toMatchObject(ended(message));
    expect(await bySession.last()).toMatchObject(ended(message));
  });

  it('ends when the token is revoked, and goes on when the role is raised', async () => {
    const [first, second] = [await makeMember('developer'), await makeMember('developer')];
    const [ending, staying] = [await run({ 'x-api-key': first.key }), await run({ 'x-api-key': second.key })];
    await put(second, 'admin');
    await api.records.personalTokens.remove(first.userId, first.tokenId);
    expect(await ending.last()).toMatchObject(ended(/ended/));
    let isOver = false;
    const last = staying.last().finally(() => (isOver = true));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(isOver).toBe(false);
    await api.records.users.remove(second.userId);
    await last;
  });
});
