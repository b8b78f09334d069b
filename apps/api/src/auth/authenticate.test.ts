import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '@soulbox/storage';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

const now = { value: Date.now() };
let api: TestApi;
beforeEach(async () => {
  now.value = Date.now();
  api = await startTestApi({ clock: { now: () => now.value } });
});
afterEach(() => api[Symbol.asyncDispose]());

describe('the key of a caller', () => {
  it.each([
    ['missing', null],
    ['empty', ''],
    ['wrong', `e2b_${'0'.repeat(40)}`],
    ['of 10,000 characters', 'e'.repeat(10_000)],
    ['SQL', "' OR 1=1 --"],
  ])('that is %s gives 401 before anything else is checked', async (_what, key) => {
    for (const [method, path, body] of [
      ['GET', '/v2/sandboxes'],
      ['GET', '/v2/sandboxes?limit=nonsense'],
      ['POST', '/v2/sandboxes', '{ not json'],
      ['POST', '/sandboxes/../../etc/passwd/pause', ''],
      ['GET', '/metrics'],
      ['GET', '/teams'],
    ] as const) {
      const answer = await api.ask(method, path, { key, body });
      if (answer.status === 404) continue; // The client resolved the dots: there is no such route.
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.json).toEqual({ code: 401, message: expect.stringMatching(/^Unauthorized/) as string });
    }
  });

  it('is not valid in another case or with a character more or less', async () => {
    for (const key of [api.key.toUpperCase(), `${api.key}0`, api.key.slice(0, -1)])
      expect((await api.ask('GET', '/v2/sandboxes', { key })).status).toBe(401);
  });

  it('is accepted as a bearer token only where that is documented', async () => {
    const bearer = { key: null, headers: { authorization: `Bearer ${api.key}` } };
    expect((await api.ask('GET', '/teams', bearer)).json).toEqual([
      { teamID: api.teamId, name: 'default', apiKey: api.key, isDefault: true },
    ]);
    expect((await api.ask('GET', '/v2/sandboxes', bearer)).status).toBe(401);
    expect((await api.ask('GET', '/teams', { ...bearer, headers: { authorization: api.key } })).status).toBe(401);
  });

  it('stops working as soon as it is revoked', async () => {
    const { key, record } = await createApiKey(api.records, { id: api.teamId }, 'short');
    expect((await api.ask('GET', '/v2/sandboxes', { key: key.reveal() })).status).toBe(200);
    expect((await api.ask('DELETE', `/api-keys/${record.id}`)).status).toBe(204);
    expect((await api.ask('GET', '/v2/sandboxes', { key: key.reveal() })).status).toBe(401);
  });

  it('has its last use recorded at most once a minute', async () => {
    const lastUsed = async () => (await api.records.apiKeys.list(api.teamId))[0]?.lastUsedAt;
    await api.ask('GET', '/v2/sandboxes');
    const first = await lastUsed();
    expect(first).toBe(now.value);
    now.value += 59_000;
    await api.ask('GET', '/v2/sandboxes');
    expect(await lastUsed()).toBe(first);
    now.value += 1000;
    await api.ask('GET', '/v2/sandboxes');
    expect(await lastUsed()).toBe(now.value);
  });

  it('that is wrong too often gets 429, while valid keys keep working', async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 203; n++) statuses.push((await api.ask('GET', '/teams', { key: 'e2b_wrong' })).status);
    expect(statuses.slice(0, 200).every((status) => status === 401)).toBe(true);
    expect(statuses.slice(200)).toEqual([429, 429, 429]);
    expect((await api.ask('GET', '/teams')).status).toBe(200);
    now.value += 1000;
    expect((await api.ask('GET', '/teams', { key: 'e2b_wrong' })).status).toBe(401);
  });

  it('is not needed for health and the OpenAPI document', async () => {
    expect((await api.ask('GET', '/health', { key: null })).status).toBe(204);
    expect((await api.ask('GET', '/health', { key: 'wrong' })).status).toBe(204);
    expect((await api.ask('GET', '/openapi.json', { key: null })).status).toBe(200);
  });
});
