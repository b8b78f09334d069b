import { afterEach, beforeEach, expect, test } from 'vitest';
import { startTestApi, until } from './testing/test-api.ts';
import type { TestApi } from './testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

type Line = Readonly<Record<string, unknown>>;
async function linesOf(keyId: string): Promise<Line[]> {
  const lines = (await api.readLog()).split('\n').filter((line) => line.includes(keyId));
  return lines.map((line) => JSON.parse(line) as Line);
}
const keyIdOf = async (teamId: string): Promise<string> => (await api.records.apiKeys.list(teamId))[0]?.id ?? '';

test('a search for the id of a key finds all its actions, their origin and their target', async () => {
  const headers = { 'x-forwarded-for': '203.0.113.9' };
  const body = { templateID: 'base' };
  const { sandboxID } = (await api.ask('POST', '/v2/sandboxes', { body, headers })).json as { sandboxID: string };
  expect((await api.ask('POST', `/sandboxes/${sandboxID}/timeout`, { body: { timeout: 60 }, headers })).status).toBe(
    204,
  );
  expect((await api.ask('DELETE', `/sandboxes/${sandboxID}`, { headers })).status).toBe(204);

  const keyId = await keyIdOf(api.teamId);
  await until(async () => (await linesOf(keyId)).filter(({ msg }) => msg === 'request').length === 3);
  const lines = await linesOf(keyId);
  for (const line of lines) expect(line).toMatchObject({ by: keyId, address: '203.0.113.9' });
  expect(lines.filter(({ msg }) => msg === 'request').map(({ method, target }) => [method, target])).toEqual([
    ['POST', {}],
    ['POST', { sandboxID }],
    ['DELETE', { sandboxID }],
  ]);
  expect(lines).toContainEqual(expect.objectContaining({ msg: 'sandbox created', sandboxId: sandboxID }));
});

test('actions of another key are not found, and a failed request names no target', async () => {
  await Promise.all([
    api.ask('POST', '/api-keys', { body: { name: 'mine' } }),
    api.ask('POST', '/api-keys', { body: { name: 'theirs' }, key: api.otherKey }),
    api.ask('DELETE', '/sandboxes/secret-typed-by-mistake', { key: api.otherKey }),
  ]);
  const [mine, theirs] = [await keyIdOf(api.teamId), await keyIdOf(api.otherTeamId)];
  await until(async () => (await linesOf(theirs)).filter(({ msg }) => msg === 'request').length === 2);
  const made = async (keyId: string) => (await linesOf(keyId)).filter(({ msg }) => msg === 'API key created');
  expect(await made(mine)).toEqual([expect.objectContaining({ by: mine, team: api.teamId })]);
  expect(await made(theirs)).toEqual([expect.objectContaining({ by: theirs, team: api.otherTeamId })]);
  expect(await api.readLog()).not.toContain('secret-typed-by-mistake');
});
