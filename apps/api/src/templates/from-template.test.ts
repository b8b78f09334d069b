import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemplate, requestBuild, startBuild } from '../testing/build-template.ts';
import { createTemplateCalls, snapshotOf } from '../testing/template-calls.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const { ask, create } = createTemplateCalls(() => api);

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
      const { connectErrorFromError } = await import('@soulbox/contract/connect-errors');
      const { SoulBoxError } = await import('@soulbox/base');
      await buildTemplate(api, 'mine');
      throw connectErrorFromError(new SoulBoxError('snapshot_not_found', 'gone'));
    };
    expect((await create('mine')).status).toBe(201);
    expect(seen).not.toBe(snapshotOf(first));
  });
});
