import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemplate, requestBuild } from '../testing/build-template.ts';
import type { Requested } from '../testing/build-template.ts';
import { createTemplateCalls, path } from '../testing/template-calls.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const { ask, statusOf } = createTemplateCalls(() => api);

describe('showing templates', () => {
  it('returns neutral values for missing facts of the server templates', async () => {
    expect((await ask('GET', '/templates')).json).toMatchObject([
      { templateID: 'tbase', names: ['base'], public: true, buildStatus: 'ready', buildCount: 1, tags: ['default'] },
      { templateID: 'tnameless', names: [] },
    ]);
  });

  it('returns the creation time of the server templates, and one of them with its only build', async () => {
    const createdAt = '2026-01-02T00:00:00.000Z';
    expect((await ask('GET', '/templates')).json).toMatchObject([{ createdAt, updatedAt: createdAt }, {}]);
    for (const reference of ['base', 'tbase'])
      expect((await ask('GET', `/templates/${reference}`)).json).toMatchObject({
        ...{ templateID: 'tbase', names: ['base'], public: true, createdAt },
        builds: [{ buildID: 'tbase', status: 'ready', createdAt, cpuCount: 2, memoryMB: 1024, tags: ['default'] }],
      });
    expect((await ask('GET', '/templates/base/tags')).json).toMatchObject([{ tag: 'default', createdAt }]);
    expect((await ask('GET', '/templates/nope')).status).toBe(404);
  });

  it('returns the build of the default tag', async () => {
    await requestBuild(api, 'mine');
    const row = async () => ((await ask('GET', '/templates')).json as unknown[])[0];
    expect(await row()).toMatchObject({
      buildStatus: 'waiting',
      buildCount: 1,
      tags: [],
      envdVersion: '',
      diskSizeMB: 0,
    });
    const build = await buildTemplate(api, 'mine', { request: { cpuCount: 4, memoryMB: 512 } });
    await buildTemplate(api, 'mine:v2');
    expect(await row()).toEqual({
      ...{ templateID: build.templateID, buildID: build.buildID, cpuCount: 4, memoryMB: 512, diskSizeMB: 2048 },
      ...{ public: false, aliases: ['mine'], names: ['default/mine'], createdBy: null, spawnCount: 0, buildCount: 3 },
      ...{ buildStatus: 'ready', tags: ['default', 'v2'], lastSpawnedAt: null, envdVersion: '0.6.13' },
      ...{ createdAt: expect.any(String) as string, updatedAt: expect.any(String) as string },
    });
  });

  it('returns pages without gaps, templates of unknown age last', async () => {
    for (let n = 0; n < 9; n++) await requestBuild(api, `t${n}`);
    const seen: string[] = [];
    let token: string | null = '';
    while (token !== null) {
      const answer = await api.ask('GET', `/v2/templates?limit=4${token === '' ? '' : `&nextToken=${token}`}`);
      seen.push(...(answer.json as { templateID: string }[]).map((row) => row.templateID));
      token = answer.headers.get('x-next-token');
    }
    expect(new Set(seen).size).toBe(11);
    expect(seen.slice(-2).sort()).toEqual(['tbase', 'tnameless']);
  });

  it('shows a template with pages of builds, newest first', async () => {
    const builds: Requested[] = [];
    for (const tag of ['a', 'b', 'c', 'd', 'e']) builds.push(await buildTemplate(api, `mine:${tag}`));
    const first = await api.ask('GET', `${path('mine')}?limit=3`);
    expect(first.json).toMatchObject({ names: ['default/mine'], public: false, lastSpawnedAt: null });
    const token = first.headers.get('x-next-token') ?? '';
    const second = await api.ask('GET', `${path(builds[0]?.templateID ?? '')}?limit=3&nextToken=${token}`);
    expect(second.headers.get('x-next-token')).toBeNull();
    const shown = [first, second].flatMap(({ json }) => (json as { builds: { buildID: string }[] }).builds);
    expect(new Set(shown.map(({ buildID }) => buildID))).toEqual(new Set(builds.map(({ buildID }) => buildID)));
    expect(shown[0]).toMatchObject({
      status: 'ready',
      cpuCount: 2,
      envdVersion: '0.6.13',
      finishedAt: expect.any(String) as string,
    });
  });

  it.each(['limit=0', 'limit=101', 'limit=x', 'nextToken=x', 'nextToken=%00', `nextToken=${'a'.repeat(5000)}`])(
    'refuses the page %s',
    async (query) => {
      await requestBuild(api, 'mine');
      expect(await statusOf('GET', `/v2/templates?${query}`)).toBe(400);
      expect(await statusOf('GET', `${path('mine')}?${query}`)).toBe(400);
    },
  );

  it.each(['nope', 'base:other', 'mine:default', 'other/mine', '..%2F..', '%00', 'a/b/c'])(
    'does not show %j',
    async (name) => {
      await requestBuild(api, 'mine');
      expect(await statusOf('GET', path(name))).toBe(404);
    },
  );

  it('reports whether a name exists', async () => {
    const { templateID } = await requestBuild(api, 'mine');
    const alias = (name: string) => ask('GET', `/templates/aliases/${encodeURIComponent(name)}`);
    expect(await alias('mine')).toEqual({ status: 200, json: { templateID, public: false } });
    expect(await alias('default/mine:v1')).toEqual({ status: 200, json: { templateID, public: false } });
    expect(await alias('base')).toEqual({ status: 200, json: { templateID: 'tbase', public: true } });
    for (const name of ['nope', '../x', 'a b', '%', 'x'.repeat(300)]) expect((await alias(name)).status).toBe(404);
  });
});
