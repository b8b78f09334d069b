import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({});
});
afterEach(() => api[Symbol.asyncDispose]());

const create = async (templateID: string) => await api.ask('POST', '/v2/sandboxes', { body: { templateID } });

it('a template of the server is made for the first caller and exists for the next', async () => {
  for (let round = 0; round < 2; round++) {
    const answer = await create('quick');
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ templateID: 'tquick', alias: 'quick' });
  }
});

it('a create returns 503 with the current step while its template is being made', async () => {
  const answer = await create('slow');
  expect(answer.status).toBe(503);
  expect(answer.json).toMatchObject({
    code: 503,
    message: 'Template "slow" is being built: unpacking, 12 s so far. Retry.',
  });
  const requestId = answer.headers.get('x-request-id') ?? '?';
  const lines = (await api.readLog()).split('\n').filter((line) => line.includes(requestId));
  expect(lines.join('\n')).toContain('template_being_made');
  expect(lines.filter((line) => /"level":[56]0/.test(line))).toEqual([]);
});

it.each(['other', 'someone/quick', 'quick:v2', 'tquick'])('no template is made for %j', async (name) => {
  expect((await create(name)).status).toBe(404);
  const names = (await api.ask('GET', '/templates')).json as { names: string[] }[];
  expect(names.flatMap((template) => template.names)).toEqual(['base']);
});
