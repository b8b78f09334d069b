import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

/** A time in seconds from the start of the test, to the second. */
const started = Math.ceil(Date.now() / 1000) * 1000;
const soon = (seconds: number): string => new Date(started + seconds * 1000).toISOString();

const create = async (name: unknown) => api.ask('POST', '/api-keys', { body: { name } });

describe('API keys', () => {
  it('are shown once, work, and are masked afterwards', async () => {
    const made = await create('ci');
    expect(made.status).toBe(201);
    const { key, ...rest } = made.json as { key: string; id: string; mask: { maskedValueSuffix: string } };
    expect(key).toMatch(/^e2b_[0-9a-f]{40}$/);
    expect(rest).toEqual({
      id: expect.any(String) as string,
      name: 'ci',
      mask: { prefix: 'e2b_', valueLength: 40, maskedValuePrefix: key.slice(4, 6), maskedValueSuffix: key.slice(-4) },
      createdAt: expect.any(String) as string,
      createdBy: null,
      lastUsed: null,
      isolation: null,
      role: null,
      scopes: ['create', 'run', 'read', 'admin'],
      templates: null,
      expiresAt: null,
    });
    const listed = await api.ask('GET', '/api-keys', { key });
    expect(listed.json).toHaveLength(2);
    expect(listed.text).not.toContain(key);
    expect(await api.readLog()).not.toContain(key);
  });

  it('get a role, scopes, templates and an expiry, which lists show', async () => {
    const body = { name: 'ci', role: 'viewer', scopes: ['run'], templates: [' Base ', 'own/t'], expiresAt: soon(60) };
    const made = await api.ask('POST', '/api-keys', { body });
    const rights = { role: 'viewer', scopes: ['run', 'read'], templates: ['base', 'own/t'], expiresAt: soon(60) };
    expect([made.status, made.json]).toMatchObject([201, rights]);
    const listed = (await api.ask('GET', '/api-keys')).json as { name: string }[];
    expect(listed.find(({ name }) => name === 'ci')).toMatchObject(rights);
  });

  it.each([
    ['a role that does not exist', { role: 'root' }],
    ['a scope that does not exist', { scopes: ['write'] }],
    ['scopes as a text', { scopes: 'read' }],
    ['too many scopes', { scopes: ['read', 'read', 'read', 'read', 'read'] }],
    ['a template with a tag', { role: 'viewer', templates: ['base:v1'] }],
    ['a template that cannot be a name', { role: 'viewer', templates: ['../x'] }],
    ['an empty template', { role: 'viewer', templates: [''] }],
    ['too many templates', { role: 'viewer', templates: Array<string>(21).fill('a') }],
    ['templates with the scope admin', { role: 'admin', templates: ['base'] }],
    ['an expiry in the past', { expiresAt: soon(-1) }],
    ['an expiry that is no date', { expiresAt: 'tomorrow' }],
    ['an expiry without a time zone', { expiresAt: '2099-01-01T00:00:00' }],
  ])('refuse %s', async (_what, rights) => {
    expect((await api.ask('POST', '/api-keys', { body: { name: 'x', ...rights } })).json).toMatchObject({ code: 400 });
  });

  describe('made by a key', () => {
    const make = async (rights: object, key?: string) =>
      await api.ask('POST', '/api-keys', { body: { name: 'x', ...rights }, ...(key === undefined ? {} : { key }) });
    const keyWith = async (rights: object) => ((await make(rights)).json as { key: string }).key;

    it('never have more scopes than that key', async () => {
      const weak = await keyWith({ scopes: ['admin', 'read'] });
      const refused = await make({ scopes: ['run'] }, weak);
      expect(refused.json).toEqual({ code: 403, message: expect.stringContaining('the scope "run"') as string });
      expect((await make({ role: 'admin' }, weak)).status).toBe(403);
      expect((await make({}, weak)).json).toMatchObject({ scopes: ['read', 'admin'], role: null });
      expect((await make({ role: 'viewer' }, weak)).status).toBe(201);
    });

    it('never expire later than that key', async () => {
      const short = await keyWith({ expiresAt: soon(60) });
      expect((await make({ expiresAt: soon(61) }, short)).status).toBe(403);
      expect((await make({ expiresAt: soon(59) }, short)).status).toBe(201);
      expect((await make({}, short)).json).toMatchObject({ expiresAt: soon(60) });
    });

    it('that is restricted to templates have no scope admin unless one is asked for', async () => {
      expect((await make({ templates: ['base'] })).json).toMatchObject({ scopes: ['create', 'run', 'read'] });
    });
  });

  it('can be renamed and revoked by their own team only', async () => {
    const { id } = (await create('ci')).json as { id: string };
    const foreign = { key: api.otherKey, body: { name: 'stolen' } };
    expect((await api.ask('PATCH', `/api-keys/${id}`, foreign)).json).toMatchObject({ code: 404 });
    expect((await api.ask('DELETE', `/api-keys/${id}`, { key: api.otherKey })).status).toBe(404);
    expect((await api.ask('PATCH', `/api-keys/${id}`, { body: { name: 'renamed' } })).status).toBe(200);
    expect((await api.ask('GET', '/api-keys')).text).toContain('renamed');
    expect((await api.ask('GET', '/api-keys', { key: api.otherKey })).text).not.toContain('renamed');
    expect((await api.ask('DELETE', `/api-keys/${id}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/api-keys/${id}`)).status).toBe(404);
  });

  it.each([[undefined], [''], ['   '], [5], [null], ['a'.repeat(129)], ['a\0b'], ['a\nb'], ['\ud800']])(
    'refuse the name %j',
    async (name) => {
      expect((await create(name)).json).toMatchObject({ code: 400 });
    },
  );

  it.each(['..%2F..', '%00', 'a%0Ab', "'%20OR%201=1", 'x'.repeat(500)])('return 404 for the id %j', async (id) => {
    expect((await api.ask('DELETE', `/api-keys/${id}`)).json).toMatchObject({ code: 404 });
  });
});

describe('templates', () => {
  it('are listed with all fields that the CLI prints', async () => {
    const answer = await api.ask('GET', '/templates?teamID=x');
    expect(answer.json).toMatchObject([
      { templateID: 'tbase', names: ['base'], aliases: ['base'], cpuCount: 2, memoryMB: 1024, buildStatus: 'ready' },
      { templateID: 'tnameless', names: [] },
    ]);
  });

  it('are found by alias, otherwise 404', async () => {
    expect((await api.ask('GET', '/templates/aliases/base')).json).toEqual({ templateID: 'tbase', public: true });
    expect((await api.ask('GET', '/templates/aliases/default%2Fbase%3Adefault')).status).toBe(200);
    expect((await api.ask('GET', '/templates/aliases/nope')).json).toEqual({
      code: 404,
      message: 'Template "nope" was not found.',
    });
    expect((await api.ask('GET', '/templates/aliases/..%2F..%2Fetc')).status).toBe(404);
  });
});
