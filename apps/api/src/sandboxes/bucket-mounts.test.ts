import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey } from '@soulbox/storage';
import { startTestApi, until } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi();
});
afterEach(() => api[Symbol.asyncDispose]());

const makeBucket = async (name: string, more: object = {}, key = api.key): Promise<string> => {
  const { json } = await api.ask('POST', '/buckets', { key, body: { name, url: 's3://bucket/p', ...more } });
  return (json as { bucketID: string }).bucketID;
};
const create = async (bucketMounts: unknown, more: object = {}, key = api.key) =>
  await api.ask('POST', '/v2/sandboxes', { key, body: { templateID: 'base', bucketMounts, ...more } });
const idOf = ({ json }: Answer): string => (json as { sandboxID: string }).sandboxID;

describe('buckets of a new sandbox', () => {
  it('are passed on beside its volumes, and shown apart in lists and details', async () => {
    const id = await makeBucket('first');
    await makeBucket('frozen', { readOnly: true });
    await api.ask('POST', '/volumes', { body: { name: 'volume' } });
    const answer = await create(
      [
        { name: 'first', path: '/bucket' },
        { name: id, path: '/part', prefix: 'a/ü b', readOnly: true },
        { name: 'frozen', path: '/frozen', prefix: 'x/' },
      ],
      { volumeMounts: [{ name: 'volume', path: '/data' }] },
    );
    expect(answer.status).toBe(201);
    const ofFirst = { volumeId: id, groupId: id, name: 'first', isBucket: true, sizeBytes: 0n, teamBytes: 0n };
    const [volume, ...buckets] = api.runner.creates[0]?.volumes ?? [];
    expect(volume).toMatchObject({ name: 'volume', isBucket: false, prefix: '' });
    expect(buckets).toMatchObject([
      { ...ofFirst, path: '/bucket', prefix: '', readOnly: false },
      { ...ofFirst, path: '/part', prefix: 'a/ü b/', readOnly: true },
      { name: 'frozen', path: '/frozen', prefix: 'x/', readOnly: true },
    ]);
    const shown = {
      volumeMounts: [{ name: 'volume', path: '/data', readOnly: false }],
      bucketMounts: [
        { name: 'first', path: '/bucket', prefix: '', readOnly: false },
        { name: 'first', path: '/part', prefix: 'a/ü b/', readOnly: true },
        { name: 'frozen', path: '/frozen', prefix: 'x/', readOnly: true },
      ],
    };
    expect((await api.ask('GET', `/sandboxes/${idOf(answer)}`)).json).toMatchObject(shown);
    for (const path of ['/sandboxes', '/v2/sandboxes'])
      expect((await api.ask('GET', path)).json).toMatchObject([shown]);
  });

  it('are absent in answers if there are none, and alone if there are no volumes', async () => {
    await makeBucket('data');
    const plain = (await api.ask('GET', `/sandboxes/${idOf(await create([]))}`)).json;
    expect(plain).not.toHaveProperty('bucketMounts');
    const alone = (await api.ask('GET', `/sandboxes/${idOf(await create([{ name: 'data', path: '/a' }]))}`)).json;
    expect(alone).toHaveProperty('bucketMounts');
    expect(alone).not.toHaveProperty('volumeMounts');
  });

  it.each([
    ...['/a', '..', 'a/../b', './a', 'a//b', '/', 'a\\b', 'a\u0000b', 'a\nb'],
    ...['a'.repeat(1025), 'ä'.repeat(511), '\ud800'],
  ])('are refused with the prefix %j', async (prefix) => {
    await makeBucket('data');
    const { status, text } = await create([{ name: 'data', path: '/a', prefix }]);
    expect([status, text]).toEqual([400, expect.stringContaining('bucketMounts: prefix')]);
    expect(api.runner.creates).toEqual([]);
  });

  it('are refused at, above or below the path of a volume, and at bad paths', async () => {
    await makeBucket('data');
    await api.ask('POST', '/volumes', { body: { name: 'volume' } });
    const volumeMounts = [{ name: 'volume', path: '/a/b' }];
    for (const path of ['/a/b', '/a', '/a/b/c']) {
      const { status, text } = await create([{ name: 'data', path }], { volumeMounts });
      expect([status, text]).toEqual([
        400,
        expect.stringContaining('bucketMounts: bucket \\"data\\" cannot be mounted'),
      ]);
    }
    for (const path of ['a', '/', '/proc', '/a/../b'])
      expect([path, (await create([{ name: 'data', path }])).status]).toEqual([path, 400]);
    expect((await create([{ name: 'data', path: '/a/c' }], { volumeMounts })).status).toBe(201);
  });

  it('are at most ten together with volumes', async () => {
    await makeBucket('data');
    await api.ask('POST', '/volumes', { body: { name: 'volume' } });
    const mounts = (name: string, count: number) =>
      Array.from({ length: count }, (_, at) => ({ name, path: `/${name}${at}` }));
    const refused = await create(mounts('data', 5), { volumeMounts: mounts('volume', 6) });
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('at most 10')]);
    expect((await create(mounts('data', 11))).status).toBe(400);
    expect((await create(mounts('data', 5), { volumeMounts: mounts('volume', 5) })).status).toBe(201);
  });

  it('that do not exist, or belong to another team, are not found', async () => {
    const theirs = await makeBucket('theirs', {}, api.otherKey);
    for (const name of ['none', 'theirs', theirs]) {
      const { status, json } = await create([{ name, path: '/a' }]);
      expect([status, json]).toEqual([404, { code: 404, message: `Bucket "${name}" was not found.` }]);
    }
    expect(api.runner.creates).toEqual([]);
  });

  it('require the scope that volumes require', async () => {
    await makeBucket('data');
    const mounts = [{ name: 'data', path: '/a' }];
    const keyWith = async (options: object) =>
      (await createApiKey(api.records, { id: api.teamId }, 'k', options)).key.reveal();
    const refused = await create(mounts, {}, await keyWith({ scopes: ['create', 'read'] }));
    expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('bucketMounts')]);
    expect((await create(mounts, {}, await keyWith({ scopes: ['create', 'run'] }))).status).toBe(201);
    expect((await create(mounts, {}, await keyWith({ templates: ['base'] }))).status).toBe(403);
  });

  it('are refused for a snapshot, which has its own', async () => {
    await makeBucket('data');
    const source = idOf(await create([]));
    const shot = await api.ask('POST', `/sandboxes/${source}/snapshots`, { body: {} });
    const templateID = (shot.json as { snapshotID: string }).snapshotID;
    const refused = await create([{ name: 'data', path: '/a' }], { templateID });
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('bucketMounts: must be empty')]);
  });

  it('are named in the audit record of the create', async () => {
    await makeBucket('data');
    await create([{ name: 'data', path: '/a' }]);
    const records = async () => (await api.ask('GET', '/audit/records')).text;
    await expect.poll(records, { timeout: 5000 }).toContain('"facts":{"buckets":"data"}');
  });
});

describe('a bucket in sandboxes', () => {
  it('is not deleted while one is running or paused', async () => {
    const id = await makeBucket('data');
    const sandbox = idOf(await create([{ name: 'data', path: '/a' }]));
    const refused = await api.ask('DELETE', '/buckets/data');
    expect([refused.status, refused.headers.get('x-soulbox-reason')]).toEqual([409, 'bucket_in_use']);
    expect(refused.text).toContain(sandbox);
    await api.ask('POST', `/sandboxes/${sandbox}/pause`);
    expect((await api.ask('DELETE', `/buckets/${id}`)).status).toBe(409);
    await api.ask('DELETE', `/sandboxes/${sandbox}`);
    expect((await api.ask('DELETE', `/buckets/${id}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/buckets/${id}`)).status).toBe(404);
  });

  it('is known after the control plane has lost its records of sandboxes', async () => {
    const volumeId = await makeBucket('data');
    const mount = { volumeId, groupId: volumeId, name: 'data', path: '/a', isBucket: true, prefix: 'p/' };
    const { sandboxId } = api.runner.plant({ teamId: api.teamId, volumes: [mount] });
    await api.restart();
    await until(async () => (await api.records.sandboxes.find(sandboxId)) !== undefined);
    expect((await api.ask('DELETE', '/buckets/data')).status).toBe(409);
    expect((await api.ask('GET', `/sandboxes/${sandboxId}`)).json).toMatchObject({
      bucketMounts: [{ name: 'data', path: '/a', prefix: 'p/', readOnly: false }],
    });
  });
});
