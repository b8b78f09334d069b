import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '@soulbox/storage';
import type { ApiKeyOptions } from '@soulbox/storage';
import { buildTemplate } from '../testing/build-template.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

/** What a key gets to see, beyond which routes it may call (`route-access.test.ts`). */
const now = { value: Date.now() };
let api: TestApi;
beforeEach(async () => {
  now.value = Date.now();
  api = await startTestApi({ clock: { now: () => now.value } });
});
afterEach(() => api[Symbol.asyncDispose]());

const keyWith = async (options: ApiKeyOptions): Promise<string> =>
  (await createApiKey(api.records, { id: api.teamId }, 'k', options)).key.reveal();
const closed = { network: { allowPublicTraffic: false } };
const create = async (key: string, templateID = 'base', path = '/v2/sandboxes'): Promise<Answer> =>
  await api.ask('POST', path, { key, body: { templateID, timeout: 600, ...closed } });
const idOf = ({ json }: Answer): string => (json as { sandboxID: string }).sandboxID;
const tokens = /access-token|traffic-token/;

describe('tokens of sandboxes', () => {
  const asks = [
    ['POST', (id: string) => `/sandboxes/${id}/connect`, { timeout: 60 }],
    ['POST', (id: string) => `/v2/sandboxes/${id}/connect`, {}],
    ['POST', (id: string) => `/sandboxes/${id}/fork`, {}],
    ['GET', (id: string) => `/sandboxes/${id}`, undefined],
    ['GET', () => '/v2/sandboxes', undefined],
    ['GET', () => '/sandboxes', undefined],
  ] as const;

  it('are in the answers for a key with the scope run', async () => {
    const made = await create(api.key);
    expect(made.json).toMatchObject({ envdAccessToken: 'access-token', trafficAccessToken: 'traffic-token' });
    for (const [method, path, body] of asks.slice(0, 2))
      expect((await api.ask(method, path(idOf(made)), { body })).text).toMatch(tokens);
    expect((await api.ask('GET', `/sandboxes/${idOf(made)}`)).text).toContain('access-token');
  });

  it('are in no answer for a key without it, whatever else it may do', async () => {
    const key = await keyWith({ scopes: ['create', 'read', 'admin'] });
    const made = await create(key);
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({ trafficAccessToken: null });
    expect(made.json).not.toHaveProperty('envdAccessToken');
    for (const [method, path, body] of asks)
      expect((await api.ask(method, path(idOf(made)), { key, body })).text).not.toMatch(tokens);
    expect((await api.ask('GET', `/sandboxes/${idOf(made)}`, { key })).json).toMatchObject({ state: 'running' });
    const copies = (await api.ask('POST', `/sandboxes/${idOf(made)}/fork`, { key, body: { count: 2 } })).json;
    expect(copies).toMatchObject([
      { sandbox: { trafficAccessToken: null } },
      { sandbox: { trafficAccessToken: null } },
    ]);
  });

  it('that rules of a sandbox contain are shown like them: header values only to keys with the scope run', async () => {
    const headers = { authorization: 'Bearer canary-value', 'x-mixed': 'a ${e2b.secrets.b}' };
    const network = { rules: { 'api.example.com': [{ transform: { headers }, requests: [{ methods: ['GET'] }] }] } };
    const made = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base', network } });
    const path = `/sandboxes/${idOf(made)}`;
    expect((await api.ask('GET', path)).text).toContain('canary-value');
    const viewer = await keyWith({ scopes: ['create', 'read', 'admin'] });
    const shown = await api.ask('GET', path, { key: viewer });
    expect(shown.text).not.toContain('canary-value');
    expect(shown.json).toMatchObject({
      network: {
        rules: {
          'api.example.com': [
            {
              transform: { headers: { authorization: '***', 'x-mixed': '***' } },
              requests: [{ methods: ['GET'], paths: [] }],
            },
          ],
        },
      },
    });
  });

  it('exist for every sandbox of a key without it, also through the route of older clients', async () => {
    const key = await keyWith({ scopes: ['create'] });
    const body = { templateID: 'base', secure: false };
    expect((await api.ask('POST', '/sandboxes', { key, body })).status).toBe(201);
    expect(api.runner.creates.at(-1)?.secure).toBe(true);
    expect((await api.ask('POST', '/sandboxes', { body })).status).toBe(201);
    expect(api.runner.creates.at(-1)?.secure).toBe(false);
  });
});

describe('a key that is restricted to templates', () => {
  let key: string;
  let own: string;
  let other: string;
  beforeEach(async () => {
    await buildTemplate(api, 'web');
    key = await keyWith({ role: 'developer', scopes: ['create', 'run', 'read'], templates: ['web', 'missing'] });
    other = idOf(await create(api.key));
    own = idOf(await create(key, 'web'));
  });
  const list = async (path: string): Promise<unknown> =>
    ((await api.ask('GET', path, { key })).json as { sandboxID?: string; names?: string[] }[]).map(
      ({ sandboxID, names }) => sandboxID ?? names?.[0],
    );

  it('creates from these by every name, and from nothing else', async () => {
    const { templateID } = (await api.ask('GET', '/templates/aliases/web', { key })).json as { templateID: string };
    for (const text of ['web', ' WEB ', 'default/web', 'web:default', templateID])
      expect([text, (await create(key, text)).status]).toEqual([text, 201]);
    const messages = new Set<unknown>();
    for (const text of ['base', 'tbase', 'nothing-like-this', 'other/web', '..', 'quick', 'web/base']) {
      const { status, json } = await create(key, text);
      expect([text, status]).toEqual([text, 403]);
      messages.add(JSON.stringify(json));
    }
    expect(messages.size).toBe(1);
    expect((await create(key, 'missing')).status).toBe(404);
  });

  it('does not create from a snapshot, even if it has the name of its template', async () => {
    const made = await api.ask('POST', `/sandboxes/${other}/snapshots`, { body: { name: 'missing' } });
    expect(made.status).toBe(201);
    expect((await create(key, 'missing')).status).toBe(403);
    const { snapshotID } = made.json as { snapshotID: string };
    expect((await create(key, snapshotID)).status).toBe(403);
  });

  it('lists and counts only what is of these', async () => {
    expect(await list('/v2/sandboxes')).toEqual([own]);
    expect(await list('/sandboxes')).toEqual([own]);
    expect(await list('/templates')).toEqual(['default/web']);
    expect(await list('/v2/templates')).toEqual(['default/web']);
    const { headers } = await api.ask('GET', '/v2/sandboxes', { key });
    expect(headers.get('x-total-running')).toBe('1');
    expect(await list('/v2/sandboxes?template=base')).toEqual([]);
    const metrics = await api.ask('GET', `/sandboxes/metrics?sandbox_ids=${other}`, { key });
    expect(metrics.json).toEqual({ sandboxes: {} });
  });

  it('names no secret of the team in rules, neither of a new sandbox nor of its own', async () => {
    const networkWith = (value: string) => ({
      rules: { 'evil.example': [{ transform: { headers: { 'x-key': value } } }] },
    });
    const ask = async (value: string): Promise<number[]> => {
      const body = { templateID: 'web', network: networkWith(value) };
      const answers = [
        await api.ask('POST', '/v2/sandboxes', { key, body }),
        await api.ask('POST', '/sandboxes', { key, body }),
        await api.ask('PUT', `/sandboxes/${own}/network`, { key, body: networkWith(value) }),
      ];
      return answers.map(({ status }) => status);
    };
    expect(await ask('${e2b.secrets.openai}')).toEqual([403, 403, 403]);
    expect(await ask('Bearer a${e2b.secrets.openai}b')).toEqual([403, 403, 403]);
    expect(await ask('plain')).toEqual([201, 201, 204]);
    const body = networkWith('${e2b.secrets.openai}');
    expect((await api.ask('PUT', `/sandboxes/${own}/network`, { body })).status).toBe(204);
  });

  it('does not learn what sandboxes of other templates connect to', async () => {
    await api.records.connections.add(
      [own, other].map((sandboxId) => ({
        ...{ teamId: api.teamId, sandboxId, startedAt: 1, durationMs: 2, protocol: 'tls', name: 'hidden.example' },
        ...{ address: '192.0.2.1', port: 443, rule: '', isAllowed: true, reason: '', bytesSent: 3, bytesReceived: 4 },
        ...{ method: '', path: '', count: 1 },
      })),
      10,
    );
    expect((await api.ask('GET', `/sandboxes/${own}/network/learned`, { key })).text).toContain('hidden.example');
    const asked = await api.ask('GET', `/sandboxes/${other}/network/learned`, { key });
    expect([asked.status, asked.text.includes('hidden.example')]).toEqual([404, false]);
  });

  it('sees copies of its own sandboxes', async () => {
    const forked = (await api.ask('POST', `/sandboxes/${own}/fork`, { key })).json as [
      { sandbox: { sandboxID: string } },
    ];
    expect((await api.ask('GET', `/sandboxes/${forked[0].sandbox.sandboxID}`, { key })).status).toBe(200);
    expect((await api.ask('POST', `/sandboxes/${other}/fork`, { key })).status).toBe(404);
  });

  it('sees nothing when its templates are gone, and again when the name is back', async () => {
    await api.ask('DELETE', `/sandboxes/${own}`, { key });
    expect((await api.ask('DELETE', '/templates/web')).status).toBe(204);
    expect(await list('/v2/sandboxes')).toEqual([]);
    expect((await create(key, 'web')).status).toBe(404);
    await buildTemplate(api, 'web');
    expect((await create(key, 'web')).status).toBe(201);
  });
});

describe('signed URLs', () => {
  let id: string;
  beforeEach(async () => {
    id = idOf(await create(api.key));
  });
  const sign = async (key: string, url: string): Promise<Answer> =>
    await api.ask('POST', '/signed-urls', { key, body: { url } });
  const file = (): string => `/sandboxes-http/49983-${id}/files?path=/a`;
  const refusal = (scope: string) => ({ code: 403, message: expect.stringContaining(`"${scope}"`) as string });
  const check = async (url: string): Promise<unknown> => {
    const { host: authority, pathname, search } = new URL(url);
    const facts = { address: '192.0.2.1', contentTypes: [], contentEncodings: [], announcedBytes: 0, isUpgrade: false };
    const destination = { kind: 'sandbox', sandboxId: id, port: 49983 } as const;
    const request = { method: 'GET', authority, target: pathname + search, isSharedHost: true, isPreflight: false };
    return await api.signedUrls.check({ ...request, destination, facts }).then(() => 'valid', String);
  };

  it('need the scope of what they open', async () => {
    const viewer = await keyWith({ scopes: ['read'] });
    const runner = await keyWith({ scopes: ['run'] });
    expect((await sign(viewer, file())).json).toEqual(refusal('run'));
    expect((await sign(runner, file())).status).toBe(201);
    expect((await sign(viewer, `/sandboxes/${id}/logs`)).status).toBe(201);
    expect((await sign(runner, `/sandboxes/${id}/logs`)).json).toEqual(refusal('read'));
    expect((await sign(viewer, '/functions-http/shop/')).json).toEqual(refusal('run'));
  });

  it('open nothing of other templates', async () => {
    const restricted = await keyWith({ scopes: ['run', 'read'], templates: ['web'] });
    expect((await sign(restricted, file())).status).toBe(403);
    const logs = (await sign(restricted, `/sandboxes/${id}/logs`)).json as { url: string };
    expect((await fetch(logs.url)).status).toBe(404);
    expect((await sign(restricted, '/functions-http/shop/')).status).toBe(403);
  });

  it('end when their key expires', async () => {
    const key = await keyWith({ scopes: ['run', 'read'], expiresAt: now.value + 60_000 });
    const { url } = (await sign(key, file())).json as { url: string };
    const logs = (await sign(key, `/sandboxes/${id}/logs`)).json as { url: string };
    expect([await check(url), (await fetch(logs.url)).status]).toEqual(['valid', 200]);
    now.value += 60_000;
    expect(await check(url)).toContain('has expired');
    expect((await fetch(logs.url)).status).toBe(401);
  });
});
