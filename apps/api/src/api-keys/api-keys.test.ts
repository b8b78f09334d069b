import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

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
    });
    const listed = await api.ask('GET', '/api-keys', { key });
    expect(listed.json).toHaveLength(2);
    expect(listed.text).not.toContain(key);
    expect(await api.readLog()).not.toContain(key);
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
