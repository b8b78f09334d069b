import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemplate } from '../testing/build-template.ts';
import { createTemplateCalls, path } from '../testing/template-calls.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const { ask, statusOf, create, publish } = createTemplateCalls(() => api);

describe('between teams', () => {
  const other = () => api.otherKey;

  it('a template is private until it is published, and again after it is unpublished', async () => {
    const build = await buildTemplate(api, 'mine');
    // The same answers as for a missing template, so that nobody can find out names.
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
    // Sandboxes created meanwhile are still found by their template.
    const theirs = await ask('GET', `/v2/sandboxes?template=${build.templateID}`, undefined, other());
    expect(theirs.json).toHaveLength(3);
    expect((await create('mine')).status).toBe(201);
  });

  it('no team can change templates of another, published or not', async () => {
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

  it("a team's own template takes precedence over a public one of the same name", async () => {
    await buildTemplate(api, 'mine');
    await publish('mine');
    const theirs = await buildTemplate(api, 'mine', { key: other() });
    expect((await create('mine', other())).json).toMatchObject({ templateID: theirs.templateID });
    expect((await create('default/mine', other())).json).not.toMatchObject({ templateID: theirs.templateID });
  });

  it('lists show the own templates and those of the server', async () => {
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
