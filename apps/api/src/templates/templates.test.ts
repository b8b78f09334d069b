import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemplate, requestBuild, startBuild } from '../testing/build-template.ts';
import type { Requested } from '../testing/build-template.ts';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ config: { teamTemplateLimit: 20 } });
});
afterEach(() => api[Symbol.asyncDispose]());

const request = (body: object, key = api.key, path = '/v3/templates') => api.ask('POST', path, { body, key });
const ask = async (method: string, path: string, body?: object, key = api.key) => {
  const answer = await api.ask(method, path, { key, ...(body === undefined ? {} : { body }) });
  return { status: answer.status, json: answer.json as never };
};
const statusOf = async (...args: Parameters<typeof ask>) => (await ask(...args)).status;
const path = (name: string, rest = '') => `/templates/${encodeURIComponent(name)}${rest}`;
const create = (templateID: string, key = api.key) => ask('POST', '/v2/sandboxes', { templateID }, key);
const publish = (name: string, isPublic = true, key = api.key) =>
  ask('PATCH', `/v2${path(name)}`, { public: isPublic }, key);
const snapshotOf = ({ buildID }: Requested) => buildID.replaceAll('-', '');

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

  it('again gives the template another build', async () => {
    const [first, second] = [await requestBuild(api, 'mine:a'), await requestBuild(api, 'mine:b')];
    expect(second.templateID).toBe(first.templateID);
    expect(second.buildID).not.toBe(first.buildID);
  });

  it('works with the route of older clients', async () => {
    expect((await request({ alias: 'mine', cpuCount: 2 }, api.key, '/v2/templates')).status).toBe(202);
  });

  it('respects the limits of the team, of templates and of waiting builds', async () => {
    const names = Array.from({ length: 25 }, (_, n) => `t${n}`);
    const statuses = (await Promise.all(names.map((name) => request({ name })))).map((answer) => answer.status);
    expect(statuses.filter((status) => status === 202)).toHaveLength(20);
    expect(statuses.filter((status) => status === 429)).toHaveLength(5);
    const tags = await Promise.all(Array.from({ length: 90 }, (_, n) => request({ name: `t0:v${n}` })));
    expect(tags.filter((answer) => answer.status === 202)).toHaveLength(80);
  });

  it('does not accept the name of a snapshot, and a snapshot not that of a template', async () => {
    const { json } = await create('base');
    const { sandboxID } = json as { sandboxID: string };
    await ask('POST', `/sandboxes/${sandboxID}/snapshots`, { name: 'kept:v1' });
    expect((await request({ name: 'kept' })).status).toBe(409);
    await requestBuild(api, 'mine');
    expect(await statusOf('POST', `/sandboxes/${sandboxID}/snapshots`, { name: 'mine:v1' })).toBe(409);
  });
});

describe('tags', () => {
  const tagsOf = async (name: string) => (await ask('GET', path(name, '/tags'))).json as unknown as { tag: string }[];

  it('are pointed at the build of another tag, and removed', async () => {
    const build = await buildTemplate(api, 'mine:v1');
    const assigned = await ask('POST', '/templates/tags', { target: 'mine:v1', tags: ['stable', 'Latest', 'stable'] });
    expect(assigned).toEqual({ status: 201, json: { buildID: build.buildID, tags: ['stable', 'latest'] } });
    expect((await tagsOf('mine')).map(({ tag }) => tag)).toEqual(['latest', 'stable', 'v1']);
    expect((await tagsOf(build.templateID))[0]).toEqual({
      ...{ tag: 'latest', buildID: build.buildID, createdAt: expect.stringMatching(/Z$/) as string },
    });
    expect(await statusOf('DELETE', '/templates/tags', { name: 'mine', tags: ['v1', 'stable'] })).toBe(204);
    expect((await tagsOf('default/mine')).map(({ tag }) => tag)).toEqual(['latest']);
    expect((await create('mine:latest')).status).toBe(201);
    expect((await create('mine:v1')).status).toBe(404);
  });

  it('that are removed last delete the build', async () => {
    const first = await buildTemplate(api, 'mine:v1');
    const second = await buildTemplate(api, 'mine:v2');
    await ask('POST', '/templates/tags', { target: 'mine:v2', tags: ['v1'] });
    expect([...api.runner.snapshots.keys()]).toEqual([snapshotOf(second)]);
    await ask('DELETE', '/templates/tags', { name: 'mine', tags: ['v1'] });
    expect(api.runner.snapshots.size).toBe(1);
    await ask('DELETE', '/templates/tags', { name: 'mine', tags: ['v2'] });
    expect(api.runner.snapshots.size).toBe(0);
    expect(first.buildID).not.toBe(second.buildID);
  });

  it.each<[string, object, number]>([
    ['POST', {}, 400],
    ['POST', { target: 'mine:v1', tags: [] }, 400],
    ['POST', { target: 'mine:v1', tags: ['a b'] }, 400],
    ['POST', { target: 'mine:v1', tags: ['12345678-1234-1234-1234-123456789abc'] }, 400],
    ['POST', { target: 'a/b/c', tags: ['x'] }, 400],
    ['POST', { target: 'mine:nope', tags: ['x'] }, 404],
    ['POST', { target: 'mine', tags: ['x'] }, 404],
    ['POST', { target: 'nope:v1', tags: ['x'] }, 404],
    ['POST', { target: 'other/mine:v1', tags: ['x'] }, 404],
    ['POST', { target: 'base', tags: ['x'] }, 404],
    ['DELETE', {}, 400],
    ['DELETE', { name: 'mine', tags: [] }, 400],
    ['DELETE', { name: 'mine', tags: ['default'] }, 400],
    ['DELETE', { name: 'mine', tags: ['a:b'] }, 400],
    ['DELETE', { name: 'mine', tags: ['v1', 'nope'] }, 404],
    ['DELETE', { name: 'mine:v1', tags: ['v1'] }, 404],
    ['DELETE', { name: 'nope', tags: ['v1'] }, 404],
  ])('%s of %j is refused with %i, and nothing changes', async (method, body, code) => {
    await buildTemplate(api, 'mine:v1');
    const answer = await ask(method, '/templates/tags', body);
    expect(answer).toEqual({ status: code, json: { code, message: expect.any(String) as string } });
    expect((await tagsOf('mine')).map(({ tag }) => tag)).toEqual(['v1']);
  });

  it('of a template of the server are a single one', async () => {
    expect(await tagsOf('base')).toMatchObject([{ tag: 'default', buildID: 'tbase' }]);
  });
});

describe('sandboxes from templates', () => {
  it.each(['mine', 'mine:default', 'default/mine', 'default/mine:default', ' MINE ', 'ID'])(
    'are created by %j',
    async (name) => {
      const build = await buildTemplate(api, 'mine');
      const { status, json } = await create(name === 'ID' ? build.templateID : name);
      expect([status, json]).toMatchObject([201, { templateID: build.templateID, alias: 'mine' }]);
      expect(api.runner.creates.at(-1)).toMatchObject({
        ...{ templateId: build.templateID, alias: 'mine', snapshotId: snapshotOf(build) },
      });
    },
  );

  it.each(['mine:v2', 'nope', 'default/nope', 'nobody/mine', 'building'])('are not created by %j', async (name) => {
    await buildTemplate(api, 'mine');
    await startBuild(api, await requestBuild(api, 'building'));
    expect((await create(name)).status).toBe(404);
  });

  it('are counted, and found in the list by the id or name of their template', async () => {
    const build = await buildTemplate(api, 'mine');
    const { sandboxID } = (await create('mine')).json as { sandboxID: string };
    await create('base');
    await create('mine');
    expect((await ask('GET', '/templates')).json).toMatchObject([
      { names: ['default/mine'], spawnCount: 2, lastSpawnedAt: expect.any(String) as string },
      {},
      {},
    ]);
    for (const name of ['mine', build.templateID, 'default/mine']) {
      const { json } = await ask('GET', `/v2/sandboxes?template=${encodeURIComponent(name)}`);
      expect((json as { sandboxID: string }[]).map((row) => row.sandboxID)).toContain(sandboxID);
      expect(json).toHaveLength(2);
    }
  });

  it('come from the new build when the tag moves during the create', async () => {
    const first = await buildTemplate(api, 'mine');
    let seen = '';
    api.runner.beforeCreate = async () => {
      const { snapshotId } = api.runner.creates.at(-1) ?? { snapshotId: '' };
      seen = snapshotId;
      if (snapshotId !== snapshotOf(first)) return;
      const { connectErrorFromError } = await import('@soulbox/contract');
      const { SoulBoxError } = await import('@soulbox/base');
      await buildTemplate(api, 'mine');
      throw connectErrorFromError(new SoulBoxError('snapshot_not_found', 'gone'));
    };
    expect((await create('mine')).status).toBe(201);
    expect(seen).not.toBe(snapshotOf(first));
  });
});

describe('between teams', () => {
  const other = () => api.otherKey;

  it('a template is private until it is published, and again when that is revoked', async () => {
    const build = await buildTemplate(api, 'mine');
    // Identical to the response for a missing template: nobody learns which names exist.
    const answers = async (name: string): Promise<unknown[]> => {
      const made = await create(name, other());
      const found = await ask('GET', `/templates/aliases/${encodeURIComponent(name)}`, undefined, other());
      const tags = await ask('GET', path(name, '/tags'), undefined, other());
      return [made, found, tags].map(({ status, json }) => [status, JSON.stringify(json).replaceAll(name, 'NAME')]);
    };
    const unknown = await answers('nonesuch');
    for (const name of ['mine', 'default/mine', build.templateID]) expect(await answers(name), name).toEqual(unknown);
    expect(unknown.map((answer) => (answer as unknown[])[0])).toEqual([404, 404, 404]);
    expect(await publish('mine')).toEqual({ status: 200, json: { names: ['default/mine'] } });
    for (const name of ['mine', 'default/mine', build.templateID]) {
      expect((await create(name, other())).status).toBe(201);
      expect((await ask('GET', `/templates/aliases/${encodeURIComponent(name)}`, undefined, other())).json).toEqual({
        ...{ templateID: build.templateID, public: true },
      });
      expect(await statusOf('GET', path(name, '/tags'), undefined, other())).toBe(403);
    }
    await publish('mine', false);
    expect((await create('mine', other())).status).toBe(404);
    // Sandboxes from that time are still found by their template.
    const theirs = await ask('GET', `/v2/sandboxes?template=${build.templateID}`, undefined, other());
    expect(theirs.json).toHaveLength(3);
    expect((await create('mine')).status).toBe(201);
  });

  it('nobody can change a template of another team, published or not', async () => {
    const build = await buildTemplate(api, 'mine');
    for (const isPublic of [false, true]) {
      await publish('mine', isPublic);
      for (const name of ['mine', build.templateID, 'default/mine']) {
        expect((await publish(name, false, other())).status).toBe(404);
        expect(await statusOf('PATCH', path(name), { public: false }, other())).toBe(404);
        expect(await statusOf('DELETE', path(name), undefined, other())).toBe(404);
        expect(await statusOf('GET', path(name), undefined, other())).toBe(404);
        expect(await statusOf('POST', '/templates/tags', { target: name, tags: ['x'] }, other())).toBe(404);
        expect(await statusOf('DELETE', '/templates/tags', { name, tags: ['x'] }, other())).toBe(404);
      }
    }
    expect((await create('mine')).status).toBe(201);
    expect(api.runner.snapshots.size).toBe(1);
  });

  it("one's own template takes precedence over a public one with the same name", async () => {
    await buildTemplate(api, 'mine');
    await publish('mine');
    const theirs = await buildTemplate(api, 'mine', { key: other() });
    expect((await create('mine', other())).json).toMatchObject({ templateID: theirs.templateID });
    expect((await create('default/mine', other())).json).not.toMatchObject({ templateID: theirs.templateID });
  });

  it("lists show a team's own templates and those of the server", async () => {
    await buildTemplate(api, 'mine');
    await publish('mine');
    await buildTemplate(api, 'theirs', { key: other() });
    const names = async (url: string, key: string) =>
      ((await ask('GET', url, undefined, key)).json as unknown as { names: string[] }[]).flatMap((row) => row.names);
    for (const url of ['/templates', '/v2/templates', '/templates?teamID=x']) {
      expect(await names(url, api.key)).toEqual(['default/mine', 'base']);
      expect(await names(url, other())).toEqual(['other/theirs', 'base']);
    }
  });
});

describe('showing templates', () => {
  it('gives those of the server neutral values for missing fields', async () => {
    expect((await ask('GET', '/templates')).json).toMatchObject([
      { templateID: 'tbase', names: ['base'], public: true, buildStatus: 'ready', buildCount: 1, tags: ['default'] },
      { templateID: 'tnameless', names: [] },
    ]);
  });

  it('shows when those of the server were made, and each with its single build', async () => {
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

  it('gives the build of the default tag', async () => {
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

  it('gives them in pages without gaps, those of unknown age last', async () => {
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

  it('shows one with its builds in pages, newest first', async () => {
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

  it('tells whether a name exists', async () => {
    const { templateID } = await requestBuild(api, 'mine');
    const alias = (name: string) => ask('GET', `/templates/aliases/${encodeURIComponent(name)}`);
    expect(await alias('mine')).toEqual({ status: 200, json: { templateID, public: false } });
    expect(await alias('default/mine:v1')).toEqual({ status: 200, json: { templateID, public: false } });
    expect(await alias('base')).toEqual({ status: 200, json: { templateID: 'tbase', public: true } });
    for (const name of ['nope', '../x', 'a b', '%', 'x'.repeat(300)]) expect((await alias(name)).status).toBe(404);
  });
});

describe('changing and deleting templates', () => {
  it.each([{}, { public: 'yes' }, { public: null }, { public: 1 }])('refuses the change %j', async (body) => {
    await requestBuild(api, 'mine');
    expect(await statusOf('PATCH', `/v2${path('mine')}`, body)).toBe(400);
    expect(await statusOf('PATCH', path('mine'), body)).toBe(400);
  });

  it('works with the route of older clients too', async () => {
    await requestBuild(api, 'mine');
    expect(await ask('PATCH', path('mine'), { public: true })).toEqual({ status: 200, json: {} });
    expect((await ask('GET', path('mine'))).json).toMatchObject({ public: true });
    expect((await publish('base')).status).toBe(404);
  });

  it.each(['NAME', 'ID'])('deletes by %s: builds, tags and snapshots', async (by) => {
    const build = await buildTemplate(api, 'mine', { request: { tags: ['default', 'v1'] } });
    await buildTemplate(api, 'mine:v2');
    const name = by === 'ID' ? build.templateID : 'mine';
    expect(await statusOf('DELETE', path(name))).toBe(204);
    expect(await statusOf('DELETE', path(name))).toBe(404);
    expect((await create('mine')).status).toBe(404);
    await until(() => api.runner.snapshots.size === 0);
    expect(await statusOf('GET', `/templates/aliases/mine`)).toBe(404);
    // The name is free again.
    expect((await buildTemplate(api, 'mine')).templateID).not.toBe(build.templateID);
  });

  it('accepts a full name with an unescaped slash', async () => {
    const build = await buildTemplate(api, 'mine', { request: { tags: ['default', 'v1'] } });
    const { templateID } = build;
    expect((await ask('GET', '/templates/default/mine')).json).toMatchObject({ templateID });
    expect((await ask('GET', '/templates/aliases/default/mine')).json).toMatchObject({ templateID });
    expect((await ask('GET', '/templates/aliases/default/mine:v1')).json).toMatchObject({ templateID });
    expect((await ask('GET', '/templates/default/mine/tags')).json).toHaveLength(2);
    expect(await statusOf('DELETE', '/templates/other/mine')).toBe(404);
    expect(await statusOf('DELETE', '/templates/default/mine')).toBe(204);
    expect(await statusOf('GET', '/templates/aliases/mine')).toBe(404);
  });

  it('stops a running build', async () => {
    const build = await requestBuild(api, 'mine');
    const runner = await startBuild(api, build);
    expect(await statusOf('DELETE', path('mine'))).toBe(204);
    await until(() => runner.dropped.aborted);
    // A result that the runner finished anyway is deleted at the next comparison.
    runner.finish();
    api.runner.cutStreams();
    await until(() => api.runner.snapshots.size === 0);
  });

  it("waits for sandboxes to end, including another team's", async () => {
    await buildTemplate(api, 'mine');
    await publish('mine');
    const { sandboxID } = (await create('mine', api.otherKey)).json as { sandboxID: string };
    expect(await ask('DELETE', path('mine'))).toMatchObject({
      status: 400,
      json: { code: 400, message: /running or paused/ },
    });
    await ask('POST', `/sandboxes/${sandboxID}/pause`, {}, api.otherKey);
    expect(await statusOf('DELETE', path('mine'))).toBe(400);
    await ask('DELETE', `/sandboxes/${sandboxID}`, undefined, api.otherKey);
    expect(await statusOf('DELETE', path('mine'))).toBe(204);
  });

  it.each<[string, number]>([
    ['base', 403],
    ['tbase', 403],
    ['nope', 404],
    ['mine:default', 404],
    ['..%2F..', 404],
    ["' OR 1=1 --", 404],
  ])('does not delete %j (%i)', async (name, code) => {
    await buildTemplate(api, 'mine');
    const answer = await ask('DELETE', path(name));
    expect(answer).toEqual({ status: code, json: { code, message: expect.any(String) as string } });
    expect(api.runner.snapshots.size).toBe(1);
  });

  it('succeeds without the runner: the snapshot is deleted later', async () => {
    await buildTemplate(api, 'mine');
    api.runner.beforeStep = (call) =>
      call === 'deleteSnapshot' ? Promise.reject(new Error('the runner is away')) : Promise.resolve();
    expect(await statusOf('DELETE', path('mine'))).toBe(204);
    expect(api.runner.snapshots.size).toBe(1);
    api.runner.beforeStep = () => Promise.resolve();
    api.runner.cutStreams();
    await until(() => api.runner.snapshots.size === 0);
  });
});
