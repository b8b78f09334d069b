import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemplate, requestBuild, startBuild } from '../testing/build-template.ts';
import { createTemplateCalls, path } from '../testing/template-calls.ts';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const { ask, statusOf, create, publish } = createTemplateCalls(() => api);

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
      json: { code: 400, message: expect.stringMatching(/running or paused/) as string },
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
