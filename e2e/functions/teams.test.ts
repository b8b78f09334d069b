import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createApiKey, openSqliteRecords } from '@soulbox/storage';
import { deploy } from '../harness/functions.ts';
import { askApi } from '../harness/http.ts';
import { server } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';

const isMade = await hasTemplate('edge');

describe.skipIf(!isMade)('functions of another team', () => {
  test('are not visible, but their names are taken', async () => {
    const records = openSqliteRecords(join(server.dataDirectory, 'records.sqlite'));
    onTestFinished(async () => {
      await records[Symbol.asyncDispose]();
    });
    const team = { id: 'e2e-functions-team', name: 'e2e-functions', isDefault: false, createdAt: 1 };
    await records.teams.create(team).catch(() => undefined);
    const key = { 'x-api-key': (await createApiKey(records, team, 'functions')).key.reveal() };
    await deploy('e2e-owned', 'export default { fetch: () => new Response("mine") };');
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/versions'],
      ['GET', '/logs'],
      ['POST', '/rollback'],
      ['POST', '/invoke'],
    ] as const)
      expect((await askApi(method, `/functions/e2e-owned${path}`, undefined, key)).status).toBe(404);
    expect((await askApi('GET', '/functions', undefined, key)).json).toEqual([]);
    const request = { name: 'e2e-owned', source: 'export default {};' };
    expect((await askApi('POST', '/functions', request, key)).status).toBe(409);
    for (const name of ['', '-a', 'a-', 'A', 'a.b', 'a'.repeat(41), '../x'])
      expect((await askApi('POST', '/functions', { ...request, name }, key)).status).toBe(400);
  });
});
