import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '@soulbox/storage';
import { buildTemplate } from '../testing/build-template.ts';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const makeVolume = async (name: string, more: object = {}, key = api.key): Promise<string> => {
  const { json } = await api.ask('POST', '/volumes', { key, body: { name, ...more } });
  return (json as { volumeID: string }).volumeID;
};
const create = async (volumeMounts: unknown, more: object = {}, key = api.key) =>
  await api.ask('POST', '/v2/sandboxes', { key, body: { templateID: 'base', volumeMounts, ...more } });
const idOf = ({ json }: { readonly json: unknown }): string => (json as { sandboxID: string }).sandboxID;

describe('volumes of a new sandbox', () => {
  it('are passed on with their limits, and shown in lists and details', async () => {
    const first = await makeVolume('first', { sizeMb: 5 });
    await makeVolume('copy', { from: 'first', readOnly: true });
    const answer = await create([
      { name: 'first', path: '/data' },
      { name: first, path: '/again', readOnly: true },
      { name: 'copy', path: '/home/user/copy', readOnly: false },
    ]);
    expect(answer.status).toBe(201);
    const teamBytes = 100n * 2n ** 30n;
    const [data, again, copy] = api.runner.creates[0]?.volumes ?? [];
    const ofFirst = { volumeId: first, groupId: first, name: 'first', sizeBytes: 5n * 2n ** 20n, teamBytes };
    expect(data).toMatchObject({ ...ofFirst, path: '/data', readOnly: false });
    expect(again).toMatchObject({ ...ofFirst, path: '/again', readOnly: true });
    expect(copy).toMatchObject({ groupId: first, name: 'copy', readOnly: true, sizeBytes: 0n, teamBytes });
    const volumeMounts = [
      { name: 'first', path: '/data', readOnly: false },
      { name: 'first', path: '/again', readOnly: true },
      { name: 'copy', path: '/home/user/copy', readOnly: true },
    ];
    expect((await api.ask('GET', `/sandboxes/${idOf(answer)}`)).json).toMatchObject({ volumeMounts });
    for (const path of ['/sandboxes', '/v2/sandboxes'])
      expect((await api.ask('GET', path)).json).toMatchObject([{ volumeMounts }]);
  });

  it('are also mounted by older clients, and are absent in answers if there are none', async () => {
    await makeVolume('data');
    const old = await api.ask('POST', '/sandboxes', {
      body: { templateID: 'base', volumeMounts: [{ name: 'data', path: '/data' }] },
    });
    expect([old.status, api.runner.creates[0]?.volumes.length]).toEqual([201, 1]);
    const plain = await create([]);
    expect((await api.ask('GET', `/sandboxes/${idOf(plain)}`)).json).not.toHaveProperty('volumeMounts');
  });

  it.each([
    ['data', 'is not absolute'],
    ['', 'is not absolute'],
    ['/', 'a folder of the system'],
    ['/a/', 'shortest form'],
    ['/a/../b', 'shortest form'],
    ['/run/x', 'a folder of the system'],
    ['/a\0b', 'a control character'],
    ['/a]:1', 'a square bracket'],
    [`/${'ä'.repeat(512)}`, 'longer than 1024 bytes'],
  ])('are refused at the path %j', async (path, text) => {
    await makeVolume('data');
    const { status, json } = await create([{ name: 'data', path }]);
    expect([status, json]).toEqual([400, { code: 400, message: expect.stringContaining(text) as string }]);
    expect((json as { message: string }).message).toMatch(/^volumeMounts: volume "data" cannot be mounted at /);
    expect(api.runner.creates).toEqual([]);
  });

  it.each(['/process', '/a/proc', '/developer', '/running', '/..a', '/a b/ü', `/${'a'.repeat(1023)}`])(
    'are mounted at the path %j',
    async (path) => {
      await makeVolume('data');
      expect((await create([{ name: 'data', path }])).status).toBe(201);
    },
  );

  it.each([
    ['/a', '/a'],
    ['/a', '/a/b'],
    ['/a/b/c', '/a'],
  ])('are refused at both %s and %s', async (first, second) => {
    await makeVolume('data');
    await makeVolume('other');
    const answer = await create([
      { name: 'data', path: first },
      { name: 'other', path: second },
    ]);
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('at, above or below it')]);
  });

  it('are at most ten, and have names', async () => {
    await makeVolume('data');
    const mounts = Array.from({ length: 11 }, (_, at) => ({ name: 'data', path: `/m${at}` }));
    expect((await create(mounts)).status).toBe(400);
    expect((await create(mounts.slice(1))).status).toBe(201);
    for (const bad of ['data', {}, [{ path: '/a' }], [{ name: '', path: '/a' }], [{ name: 'data' }]])
      expect([bad, (await create(bad)).status]).toEqual([bad, 400]);
  });

  it('that do not exist, or belong to another team, are not found', async () => {
    const theirs = await makeVolume('theirs', {}, api.otherKey);
    for (const name of ['none', 'theirs', theirs]) {
      const { status, json } = await create([{ name, path: '/a' }]);
      expect([status, json]).toEqual([404, { code: 404, message: `Volume "${name}" was not found.` }]);
    }
    expect(api.runner.creates).toEqual([]);
  });

  it('require what their contents require', async () => {
    await makeVolume('data');
    const mounts = [{ name: 'data', path: '/a' }];
    const keyWith = async (options: object) =>
      (await createApiKey(api.records, { id: api.teamId }, 'k', options)).key.reveal();
    const creator = await keyWith({ scopes: ['create', 'read'] });
    const refused = await create(mounts, {}, creator);
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('requires the scope')]);
    expect((await create([], {}, creator)).status).toBe(201);
    expect((await create(mounts, {}, await keyWith({ scopes: ['create', 'run'] }))).status).toBe(201);
    const restricted = await create(mounts, {}, await keyWith({ templates: ['base'] }));
    expect([restricted.status, restricted.text]).toEqual([403, expect.stringContaining('restricted to templates')]);
  });

  it('are refused for a snapshot, which has its own, and mounted for a built template', async () => {
    await makeVolume('data');
    const mounts = [{ name: 'data', path: '/a' }];
    const source = idOf(await create([]));
    const shot = await api.ask('POST', `/sandboxes/${source}/snapshots`, { body: {} });
    const templateID = (shot.json as { snapshotID: string }).snapshotID;
    const refused = await create(mounts, { templateID });
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('must be empty for snapshot')]);
    expect((await create([], { templateID })).status).toBe(201);
    await buildTemplate(api, 'built');
    expect((await create(mounts, { templateID: 'built' })).status).toBe(201);
    expect(api.runner.creates.at(-1)).toMatchObject({ snapshotId: expect.stringMatching(/./) as string });
    expect(api.runner.creates.at(-1)?.volumes).toHaveLength(1);
  });
});

describe('a volume in sandboxes', () => {
  it('is not deleted while one is running or paused, and the error names some', async () => {
    const volumeId = await makeVolume('data');
    const mounts = [{ name: 'data', path: '/a' }];
    const ids: string[] = [];
    for (let made = 0; made < 4; made += 1) ids.push(idOf(await create(mounts)));
    await create([]);
    const refused = await api.ask('DELETE', '/volumes/data');
    expect([refused.status, refused.headers.get('x-soulbox-reason')]).toEqual([409, 'volume_in_use']);
    const { message } = refused.json as { message: string };
    expect(ids.filter((id) => message.includes(id))).toHaveLength(3);
    expect(message).toContain('and others');
    for (const id of ids.slice(1)) await api.ask('DELETE', `/sandboxes/${id}`);
    await api.ask('POST', `/sandboxes/${ids[0] ?? ''}/pause`);
    const paused = await api.ask('DELETE', `/volumes/${volumeId}`);
    expect([paused.status, paused.text]).toEqual([409, expect.stringContaining(`sandboxes: ${ids[0] ?? ''}. Kill`)]);
    await api.ask('DELETE', `/sandboxes/${ids[0] ?? ''}`);
    expect((await api.ask('DELETE', `/volumes/${volumeId}`)).status).toBe(204);
  });

  it('is known after the control plane has lost its records of sandboxes', async () => {
    const volumeId = await makeVolume('data');
    const volumes = [{ volumeId, groupId: volumeId, name: 'data', path: '/a' }];
    const { sandboxId } = api.runner.plant({ teamId: api.teamId, volumes });
    await api.restart();
    await until(async () => (await api.records.sandboxes.find(sandboxId)) !== undefined);
    expect((await api.ask('DELETE', '/volumes/data')).status).toBe(409);
  });
});
