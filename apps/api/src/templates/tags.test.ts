import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemplate } from '../testing/build-template.ts';
import { createTemplateCalls, path, snapshotOf } from '../testing/template-calls.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const { ask, statusOf, create } = createTemplateCalls(() => api);

describe('tags', () => {
  const tagsOf = async (name: string) => (await ask('GET', path(name, '/tags'))).json as unknown as { tag: string }[];

  it('can be assigned to the build of another tag, and removed', async () => {
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

  it('delete the build when its last tag is removed', async () => {
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

  it('of a server template are only the default tag', async () => {
    expect(await tagsOf('base')).toMatchObject([{ tag: 'default', buildID: 'tbase' }]);
  });
});
