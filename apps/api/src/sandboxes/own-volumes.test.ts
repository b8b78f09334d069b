import { Code, ConnectError } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { VolumeRecord } from '@soulbox/storage';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

// Copies of volumes that sandboxes and snapshots get.

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ config: { teamVolumeLimit: 5 } });
});
afterEach(() => api[Symbol.asyncDispose]());

interface Volume {
  readonly volumeID: string;
  readonly name: string;
  readonly from: string | null;
  readonly readOnly: boolean;
}
const post = async (path: string, body: object) => await api.ask('POST', path, { body });
const volumes = async (): Promise<Volume[]> => (await api.ask('GET', '/volumes')).json as Volume[];
const names = async (): Promise<string[]> => (await volumes()).map(({ name }) => name).sort();
const removing = async (): Promise<number> =>
  (await api.records.volumes.listRemoving()).length + (await api.records.volumes.listCopying()).length;
const ofClone = expect.stringMatching(/^data-[a-z0-9]{8}$/) as string;

/** A sandbox with a volume, the same at another path, and a snapshot of a volume. */
async function createSource(): Promise<{ sandboxID: string; volumeID: string }> {
  const { volumeID } = (await post('/volumes', { name: 'data' })).json as Volume;
  await post('/volumes', { name: 'old', from: 'data', readOnly: true });
  const volumeMounts = [
    { name: 'data', path: '/data' },
    { name: 'data', path: '/again', readOnly: true },
    { name: 'old', path: '/old' },
  ];
  const { json } = await post('/v2/sandboxes', { templateID: 'base', volumeMounts });
  return { sandboxID: (json as { sandboxID: string }).sandboxID, volumeID };
}
const fork = async (body: object, id?: string) =>
  await post(`/sandboxes/${id ?? (await createSource()).sandboxID}/fork`, body);
const mountsOf = (json: unknown): { name: string; path: string }[][] =>
  (json as { sandbox: { volumeMounts: { name: string; path: string }[] } }[]).map(
    ({ sandbox }) => sandbox.volumeMounts,
  );

it('are clones with names that the answer says, one for each volume that can change', async () => {
  const { sandboxID, volumeID } = await createSource();
  const { status, json } = await fork({ count: 2, volumes: 'clone' }, sandboxID);
  expect(status).toBe(201);
  const mounts = mountsOf(json);
  expect(mounts).toEqual(
    Array(2).fill([
      { name: ofClone, path: '/data', readOnly: false },
      { name: ofClone, path: '/again', readOnly: true },
      { name: 'old', path: '/old', readOnly: true },
    ]),
  );
  expect(mounts.map(([data, again]) => data?.name === again?.name)).toEqual([true, true]);
  const made = (await volumes()).filter(({ name }) => mounts.some(([data]) => data?.name === name));
  expect(made).toMatchObject(Array(2).fill({ from: volumeID, readOnly: false }));
  expect(made[0]?.name).not.toBe(made[1]?.name);
  const shared = await fork({}, sandboxID);
  expect(mountsOf(shared.json)[0]?.[0]).toMatchObject({ name: 'data' });
  expect(await names()).toHaveLength(4);
});

it('do not exceed the limit of the team, and nothing is left of those before', async () => {
  const { sandboxID } = await createSource();
  const tooMany = await fork({ count: 4, volumes: 'clone' }, sandboxID);
  expect([tooMany.status, tooMany.text]).toEqual([429, expect.stringContaining('volumes (5)')]);
  expect([await names(), await removing()]).toEqual([['data', 'old'], 0]);
  expect(api.runner.stateRequests.filter(({ call }) => call === 'forkSandbox')).toEqual([]);
  expect((await fork({ count: 3, volumes: 'clone' }, sandboxID)).status).toBe(201);
  expect((await fork({ volumes: 'all' }, sandboxID)).status).toBe(400);
});

it('are removed with their contents when their sandbox could not be made', async () => {
  const { sandboxID } = await createSource();
  api.runner.failingForks = 1;
  const { json } = await fork({ count: 2, volumes: 'clone' }, sandboxID);
  expect(json).toMatchObject([{ sandbox: {} }, { error: {} }]);
  expect([(await names()).length, await removing()]).toEqual([3, 0]);
  expect(api.volumes.calls.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
  api.runner.beforeStep = (call) =>
    call === 'forkSandbox' ? Promise.reject(new SoulBoxError('limit_exceeded', 'Too much.')) : Promise.resolve();
  expect((await fork({ volumes: 'clone' }, sandboxID)).status).toBeGreaterThanOrEqual(400);
  expect([(await names()).length, await removing()]).toEqual([3, 0]);
});

it('are kept after a lost answer if a sandbox has them, and removed otherwise', async () => {
  const { sandboxID } = await createSource();
  const lost = new ConnectError('away', Code.Unavailable);
  const source = api.runner.sandboxes.get(sandboxID);
  const pending = async (): Promise<string[]> => (await api.records.volumes.listCopying()).map(({ id }) => id);
  api.runner.beforeStep = async (call) => {
    if (call !== 'forkSandbox') return;
    // The runner makes a sandbox with the first clone only, and its answer is lost.
    const [first] = await pending();
    api.runner.plant({
      teamId: api.teamId,
      volumes: (source?.volumes ?? []).map((one) => ({ ...one, volumeId: first ?? '' })),
    });
    throw lost;
  };
  expect((await fork({ count: 2, volumes: 'clone' }, sandboxID)).status).toBe(503);
  expect([(await names()).length, await removing()]).toEqual([3, 0]);
});

it('are settled after a kill of the server', async () => {
  const copy = (id: string): VolumeRecord => ({
    ...{ id: `v${id.repeat(20)}`, teamId: api.teamId, groupId: 'g', name: id, sizeMb: undefined, sourceId: 'g' },
    ...{ isReadOnly: false, createdAt: 1, creationId: '', isUsed: true },
  });
  for (const id of ['a', 'b', 'c']) await api.records.volumes.beginCopy(copy(id), 9);
  const mount = (id: string) => ({ volumeId: `v${id.repeat(20)}`, name: id, path: '/data' });
  api.runner.plant({ teamId: api.teamId, volumes: [mount('a')] });
  const { sandboxId } = api.runner.plant({ teamId: api.teamId, volumes: [mount('c')] });
  await api.restart();
  await until(async () => (await removing()) === 0);
  expect(await names()).toEqual(['a', 'c']);
  expect(api.runner.sandboxes.has(sandboxId)).toBe(true);
});

it('are snapshots in a snapshot, of which each sandbox gets clones', async () => {
  const { sandboxID, volumeID } = await createSource();
  const { status, json } = await post(`/sandboxes/${sandboxID}/snapshots`, { name: 'whole', volumes: 'snapshot' });
  expect([status, json]).toMatchObject([
    201,
    {
      volumes: [
        { name: ofClone, path: '/data' },
        { name: ofClone, path: '/again' },
        { name: 'old', path: '/old' },
      ],
    },
  ]);
  const [taken] = (json as { volumes: Volume[] }).volumes;
  expect(await volumes()).toMatchObject([{}, {}, { volumeID: taken?.volumeID, readOnly: true, from: volumeID }]);
  const created = await post('/v2/sandboxes', { templateID: 'whole' });
  expect([created.status, created.json]).toMatchObject([201, {}]);
  const [clone] = (created.json as { volumeMounts: { name: string }[] }).volumeMounts;
  expect(clone?.name).toMatch(/^data-[a-z0-9]{8}-[a-z0-9]{8}$/);
  expect(await volumes()).toMatchObject([{}, {}, {}, { name: clone?.name, from: taken?.volumeID, readOnly: false }]);
  const forked = await post('/snapshots/whole/fork', {});
  expect(mountsOf(forked.json)[0]?.[0]?.name).not.toBe(clone?.name);
  expect(await names()).toHaveLength(5);
  const full = await post('/v2/sandboxes', { templateID: 'whole' });
  expect(full.status).toBe(429);
  expect([await names(), await removing()]).toMatchObject([{ length: 5 }, 0]);
  // It is used, as long as the snapshot of volumes is there.
  expect((await api.ask('DELETE', '/snapshots/whole')).status).toBe(204);
  expect(await names()).toHaveLength(5);
});

it('do not hinder a fork of a sandbox without volumes, and need them where they are', async () => {
  const { json } = await post('/v2/sandboxes', { templateID: 'base' });
  const { sandboxID } = json as { sandboxID: string };
  const { status } = await fork({ volumes: 'clone' }, sandboxID);
  expect([status, await names()]).toEqual([201, []]);
  const made = await post(`/sandboxes/${sandboxID}/snapshots`, { volumes: 'snapshot' });
  expect([made.status, made.json]).toMatchObject([201, { volumes: [] }]);
});
