import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestBuild } from '../testing/build-template.ts';
import { createTemplateCalls } from '../testing/template-calls.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ config: { teamTemplateLimit: 20 } });
});
afterEach(() => api[Symbol.asyncDispose]());

const { request, ask, statusOf, create } = createTemplateCalls(() => api);

describe('requesting a build', () => {
  it.each([
    [{ name: 'mine' }, 'mine', ['default']],
    [{ name: ' MINE:V1.2 ' }, 'mine', ['v1.2']],
    [{ name: 'mine', tags: ['a', 'B', 'a'] }, 'mine', ['a', 'b']],
    [{ name: 'default/mine:c', tags: ['a'] }, 'mine', ['c', 'a']],
    [{ alias: 'mine', name: null, tags: null, cpuCount: null, teamID: 'x' }, 'mine', ['default']],
    [{ name: 'x'.repeat(128) }, 'x'.repeat(128), ['default']],
    [{ name: '_a-1', cpuCount: 1, memoryMB: 128, minFreeDiskMb: 0 }, '_a-1', ['default']],
  ])('%j creates a template and a waiting build', async (body, name, tags) => {
    const { status, json } = await request(body);
    expect([status, json]).toEqual([
      202,
      {
        ...{ templateID: expect.stringMatching(/^[a-z0-9]{20}$/) as string, public: false, names: [`default/${name}`] },
        ...{ buildID: expect.stringMatching(/^[0-9a-f-]{36}$/) as string, tags, aliases: [name] },
      },
    ]);
  });

  it.each<[object, number]>([
    [{}, 400],
    ...(
      [
        '',
        ' ',
        '../x',
        'a/b/c',
        'a b',
        'ä',
        'a:b:c',
        'a:',
        ':b',
        '/a',
        'a\u0000',
        'x'.repeat(129),
        '%61',
        'a/',
      ] as const
    ).map((name): [object, number] => [{ name }, 400]),
    [{ name: 'a:12345678-1234-1234-1234-123456789abc' }, 400],
    [{ name: "a'; DROP TABLE templates --" }, 400],
    [{ name: 5 }, 400],
    [{ name: { $ne: 1 } }, 400],
    ...(['', 'a b', 'a:b', 'a/b', 'ä', 'x'.repeat(129), '12345678-1234-1234-1234-123456789abc', 5] as const).map(
      (tag): [object, number] => [{ name: 'mine', tags: [tag] }, 400],
    ),
    [{ name: 'mine', tags: 'v1' }, 400],
    [{ name: 'mine', tags: Array.from({ length: 33 }, (_, n) => `t${n}`) }, 400],
    [{ name: 'mine:more', tags: Array.from({ length: 32 }, (_, n) => `t${n}`) }, 400],
    ...([0, 3, 34, -2, 1.5, '2', 1e9] as const).map((cpuCount): [object, number] => [{ name: 'mine', cpuCount }, 400]),
    ...([0, 127, 1.5, -1, '512', 2_000_000] as const).map((memoryMB): [object, number] => [
      { name: 'mine', memoryMB },
      400,
    ]),
    ...([-1, 0.5, 'x', 1e9] as const).map((minFreeDiskMb): [object, number] => [{ name: 'mine', minFreeDiskMb }, 400]),
    [{ name: 'other/mine' }, 403],
    [{ name: 'nobody/mine' }, 403],
    [{ name: 'base' }, 409],
    [{ name: 'base:v2' }, 409],
    [{ name: 'tbase' }, 409],
  ])('%j is refused with %i', async (body, code) => {
    const answer = await request(body);
    expect([answer.status, answer.json]).toEqual([code, { code, message: expect.any(String) as string }]);
    expect(await api.records.templates.list(api.teamId)).toEqual([]);
  });

  it('creates another build for an existing template', async () => {
    const [first, second] = [await requestBuild(api, 'mine:a'), await requestBuild(api, 'mine:b')];
    expect(second.templateID).toBe(first.templateID);
    expect(second.buildID).not.toBe(first.buildID);
  });

  it('works with the route of older clients', async () => {
    expect((await request({ alias: 'mine', cpuCount: 2 }, api.key, '/v2/templates')).status).toBe(202);
  });

  it('enforces the limits of templates and of waiting builds of a team', async () => {
    const names = Array.from({ length: 25 }, (_, n) => `t${n}`);
    const statuses = (await Promise.all(names.map((name) => request({ name })))).map((answer) => answer.status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(20);
    expect(statuses.filter((status) => status === 429)).toHaveLength(5);
    const tags = await Promise.all(Array.from({ length: 90 }, (_, n) => request({ name: `t0:v${n}` })));
    expect(tags.filter((answer) => answer.status === 202)).toHaveLength(80);
  });

  it('refuses the name of a snapshot, and a snapshot cannot have the name of a template', async () => {
    const { json } = await create('base');
    const { sandboxID } = json as { sandboxID: string };
    await ask('POST', `/sandboxes/${sandboxID}/snapshots`, { name: 'kept:v1' });
    expect((await request({ name: 'kept' })).status).toBe(409);
    await requestBuild(api, 'mine');
    expect(await statusOf('POST', `/sandboxes/${sandboxID}/snapshots`, { name: 'mine:v1' })).toBe(409);
  });
});
