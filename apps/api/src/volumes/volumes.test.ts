import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { createApiKey } from '@soulbox/storage';
import { until, startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
let now: number;
beforeEach(async () => {
  now = Date.now();
  api = await startTestApi({ config: { teamVolumeLimit: 2 }, clock: { now: () => now } });
});
afterEach(() => api[Symbol.asyncDispose]());

interface Made {
  readonly volumeID: string;
  readonly name: string;
  readonly token: string;
}
const create = async (name: string, more: Parameters<TestApi['ask']>[2] & { sizeMb?: number } = {}) =>
  await api.ask('POST', '/volumes', {
    ...more,
    body: { name, ...(more.sizeMb === undefined ? {} : { sizeMb: more.sizeMb }) },
  });
const made = async (name: string, key = api.key): Promise<Made> => (await create(name, { key })).json as Made;
const content = async (method: string, volume: string, what: string, token: string, body?: string) =>
  await api.ask(method, `/volumecontent/${volume}/${what}`, {
    ...{ key: null, headers: { authorization: `Bearer ${token}` } },
    ...(body === undefined ? {} : { body }),
  });
const actions = async (): Promise<string[]> =>
  ((await api.ask('GET', '/audit/records')).json as { action: string }[]).map(({ action }) => action);

describe('volumes', () => {
  it('are created, listed, found by id and name, and deleted with their contents', async () => {
    const { status, json } = await create('data', { sizeMb: 5 });
    expect([status, json]).toMatchObject([
      201,
      {
        volumeID: expect.stringMatching(/^v[a-z0-9]{20}$/) as string,
        name: 'data',
        sizeMb: 5,
        token: expect.stringMatching(/^sbv_/) as string,
      },
    ]);
    const { volumeID } = json as Made;
    const listed = (await api.ask('GET', '/volumes')).json as object[];
    expect(listed).toMatchObject([{ volumeID, name: 'data' }]);
    expect(listed[0]).not.toHaveProperty('token');
    for (const name of [volumeID, 'data'])
      expect((await api.ask('GET', `/volumes/${name}`)).json).toMatchObject({ volumeID, name: 'data' });
    expect((await api.ask('DELETE', `/volumes/${volumeID}`)).status).toBe(204);
    expect((await api.ask('DELETE', `/volumes/${volumeID}`)).status).toBe(404);
    expect((await api.ask('GET', `/volumes/data`)).json).toMatchObject({ code: 404 });
    expect(api.volumes.calls.map(({ method, what, volumeId }) => [method, what, volumeId])).toEqual([
      ['DELETE', '', volumeID],
    ]);
    await expect.poll(actions).toEqual(expect.arrayContaining(['volume.create', 'volume.delete']));
  });

  it.each(['', 'a b', 'ä', '../a', 'x'.repeat(129), `v${'a'.repeat(20)}`])('cannot be called "%s"', async (name) => {
    expect((await create(name)).status).toBe(400);
  });

  it('have a name that is unique in their team, and a limit', async () => {
    await made('a');
    expect([(await create('a')).status, (await create('a')).text]).toEqual([
      400,
      '{"code":400,"message":"The team already has a volume \\"a\\". Choose another name."}',
    ]);
    expect((await create('a', { key: api.otherKey })).status).toBe(201);
    await made('b');
    const third = await create('c');
    expect([third.status, third.text]).toEqual([429, expect.stringContaining('volumes (2)')]);
  });

  it('of another team are not found', async () => {
    const { volumeID, token } = await made('theirs', api.otherKey);
    expect((await api.ask('GET', `/volumes/${volumeID}`)).status).toBe(404);
    expect((await api.ask('DELETE', `/volumes/${volumeID}`)).status).toBe(404);
    expect((await api.ask('GET', `/volumecontent/${volumeID}/dir?path=/`)).status).toBe(404);
    expect((await content('GET', volumeID, 'dir?path=/', token)).status).toBe(200);
  });

  it('are created once for a request that is repeated', async () => {
    const headers = { 'idempotency-key': 'one' };
    const first = await create('a', { headers });
    const again = await create('a', { headers });
    expect([again.status, (again.json as Made).volumeID]).toEqual([201, (first.json as Made).volumeID]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    await api.ask('DELETE', '/volumes/a');
    expect((await create('a', { headers })).status).toBe(404);
  });

  it('are copied at one moment, as a clone or a snapshot', async () => {
    const { volumeID, token } = await made('a');
    await content('PUT', volumeID, 'file?path=/a.txt', token, 'hello');
    const clone = await api.ask('POST', '/volumes', { body: { name: 'b', from: 'a', readOnly: true, sizeMb: 7 } });
    expect([clone.status, clone.json]).toMatchObject([201, { name: 'b', from: volumeID, readOnly: true, sizeMb: 7 }]);
    const copy = clone.json as Made;
    expect(api.volumes.calls.at(-1)).toMatchObject({
      ...{ method: 'POST', what: 'copy', teamId: api.teamId, groupId: volumeID, volumeId: volumeID },
      query: { to: copy.volumeID, readOnly: true, teamBytes: 100 * 2 ** 30 },
    });
    expect((await content('GET', copy.volumeID, 'file?path=/a.txt', copy.token)).text).toBe('hello');
    expect(api.volumes.calls.at(-1)).toMatchObject({ groupId: volumeID, volumeId: copy.volumeID });
    await api.ask('DELETE', '/volumes/a');
    expect((await api.ask('GET', '/volumes/b')).json).toMatchObject({ from: volumeID });
    await api.ask('DELETE', '/volumes/b');
    expect(api.volumes.calls.at(-1)).toMatchObject({ method: 'DELETE', groupId: volumeID, volumeId: copy.volumeID });
  });

  it.each([
    [{ name: 'b', from: 'none' }, 404],
    [{ name: 'b', from: '' }, 400],
    [{ name: 'b', readOnly: true }, 400],
    [{ name: 'a', from: 'a' }, 400],
  ])('are not copied by %j', async (body, status) => {
    await made('a');
    await made('none', api.otherKey);
    expect((await api.ask('POST', '/volumes', { body })).status).toBe(status);
    expect(api.volumes.calls).toEqual([]);
  });

  it('whose copy fails leave nothing of it, also if the service is away or the server is killed', async () => {
    await made('a');
    const body = { name: 'b', from: 'a' };
    api.volumes.failure = new SoulBoxError('limit_exceeded', 'The volumes of the team have too much.');
    const refused = await api.ask('POST', '/volumes', { body });
    expect([refused.status, refused.text]).toEqual([429, expect.stringContaining('volume_mb')]);
    api.volumes.failure = new SoulBoxError('volumes_unavailable', 'away');
    expect((await api.ask('POST', '/volumes', { body })).status).toBe(429);
    api.volumes.failure = undefined;
    await api.restart();
    await until(async () => (await api.records.volumes.listRemoving()).length === 0);
    const unfinished = { id: `v${'u'.repeat(20)}`, teamId: api.teamId, groupId: 'g', name: 'b', sizeMb: undefined };
    await api.records.volumes.beginCopy(
      { ...unfinished, sourceId: 'g', isReadOnly: false, createdAt: 1, creationId: '', isUsed: true },
      9,
    );
    await api.restart();
    await until(async () => (await api.records.volumes.listRemoving()).length === 0);
    expect((await api.ask('POST', '/volumes', { body })).status).toBe(201);
  });

  it('are known as used from the first call for their contents, mount or copy on', async () => {
    const used = async (id: string): Promise<boolean | undefined> =>
      (await api.records.volumes.find(api.teamId, id))?.isUsed;
    const { volumeID } = await made('a');
    await api.ask('GET', `/volumes/${volumeID}`);
    expect(await used(volumeID)).toBe(false);
    await api.ask('GET', `/volumecontent/${volumeID}/dir?path=/`);
    expect(await used(volumeID)).toBe(true);
    const { volumeID: source } = await made('b');
    await api.ask('DELETE', `/volumes/${volumeID}`);
    const copy = (await api.ask('POST', '/volumes', { body: { name: 'c', from: 'b' } })).json as { volumeID: string };
    expect([await used(source), await used(copy.volumeID)]).toEqual([true, true]);
    await api.ask('DELETE', `/volumes/${source}`);
    const { volumeID: mounted } = await made('d');
    const body = { templateID: 'base', volumeMounts: [{ name: 'd', path: '/data' }] };
    expect((await api.ask('POST', '/sandboxes', { body })).status).toBe(201);
    expect(await used(mounted)).toBe(true);
  });

  it('are gone for their team at once, and their contents after the service is back', async () => {
    const { volumeID } = await made('a');
    await made('b');
    api.volumes.failure = new SoulBoxError('volumes_unavailable', 'away');
    expect((await api.ask('DELETE', `/volumes/${volumeID}`)).status).toBe(204);
    expect((await create('a')).status).toBe(429);
    api.volumes.failure = undefined;
    await api.restart();
    await until(async () => (await api.records.volumes.listRemoving()).length === 0);
    expect((await create('a')).status).toBe(201);
  });
});

describe('the contents of a volume', () => {
  it('are written and read with its token, and the uses are counted', async () => {
    const { volumeID, token } = await made('a');
    const written = await content('PUT', volumeID, 'file?path=/a.txt&uid=5&force=false', token, 'hello');
    expect([written.status, written.json]).toMatchObject([201, { path: '/a.txt', size: 5 }]);
    expect(api.volumes.calls[0]).toMatchObject({
      ...{ teamId: api.teamId, volumeId: volumeID, method: 'PUT', what: 'file' },
      query: { path: '/a.txt', uid: 5, force: false, length: 5, teamBytes: 100 * 2 ** 30 },
    });
    const read = await content('GET', volumeID, 'file?path=/a.txt', token);
    expect([read.status, read.text, read.headers.get('content-disposition')]).toEqual([200, 'hello', 'attachment']);
    expect((await content('GET', volumeID, 'path?path=/a.txt', token)).json).toMatchObject({ type: 'file', size: 5 });
    expect((await content('POST', volumeID, 'dir?path=/d&mode=448', token)).status).toBe(201);
    expect((await content('DELETE', volumeID, 'path?path=/a.txt', token)).status).toBe(204);
    await expect.poll(actions).toEqual(expect.arrayContaining(['volume.read', 'volume.write']));
  });

  it('are moved, and their usage is known', async () => {
    const { volumeID, token } = await made('data');
    await content('PUT', volumeID, 'file?path=/a', token, 'hello');
    expect((await content('POST', volumeID, 'rename?path=/a&to=/b', token)).json).toMatchObject({
      path: '/b',
      size: 5,
    });
    expect((await content('POST', volumeID, 'rename?path=/b', token)).status).toBe(400);
    expect((await content('POST', volumeID, 'rename?path=/b&to=%00', token)).status).toBe(400);
    expect((await content('POST', volumeID, 'rename?path=/a&to=/c', token)).json).toMatchObject({
      code: 'file_not_found',
    });
    const usage = { bytes: 0, entries: 2, sizeMb: null };
    expect((await api.ask('GET', `/volumes/${volumeID}/usage`)).json).toEqual(usage);
    expect((await api.ask('GET', `/volumes/${volumeID}/usage`, { key: api.otherKey })).status).toBe(404);
    api.volumes.failure = new SoulBoxError('volumes_unavailable', 'It does not answer.');
    expect((await api.ask('GET', '/volumes/data/usage')).status).toBe(503);
  });

  it('have errors with a text as their code, as in E2B', async () => {
    const { volumeID, token } = await made('a');
    const missing = await content('GET', volumeID, 'file?path=/none', token);
    expect([missing.status, missing.json]).toEqual([
      404,
      { code: 'file_not_found', message: 'The path "/none" does not exist.' },
    ]);
    expect((await content('GET', volumeID, 'file', token)).json).toMatchObject({ code: 'bad_request' });
    expect((await content('GET', volumeID, 'file?path=/a', 'sbv_x')).json).toMatchObject({ code: 'unauthorized' });
    for (const query of ['path=/a&mode=4096', 'path=/a&uid=-1', 'path=/a&force=maybe', `path=${'x'.repeat(4096)}`])
      expect([query, (await content('POST', volumeID, `dir?${query}`, token)).status]).toEqual([query, 400]);
  });

  it('are reserved at the runner while they arrive, and counted against the limit of the team', async () => {
    const { volumeID, token } = await made('a');
    api.volumes.failure = new SoulBoxError('limit_exceeded', 'The volumes of the team have too much.');
    const refused = await content('PUT', volumeID, 'file?path=/a', token, 'x');
    expect([refused.status, refused.text]).toEqual([429, expect.stringContaining('volume_mb')]);
    api.volumes.failure = new SoulBoxError('disk_full', 'It is full.');
    expect((await content('PUT', volumeID, 'file?path=/a', token, 'x')).status).toBe(507);
  });
});

describe('a token of a volume', () => {
  it('opens this volume only, and nothing else', async () => {
    const [first, second] = [await made('a'), await made('b')];
    expect((await content('GET', second.volumeID, 'dir?path=/', first.token)).status).toBe(404);
    expect((await api.ask('GET', '/volumes', { key: first.token })).status).toBe(401);
    const headers = { authorization: `Bearer ${first.token}` };
    expect((await api.ask('GET', '/volumes', { key: null, headers })).status).toBe(401);
    expect((await api.ask('GET', `/volumecontent/${first.volumeID}/dir?path=/`, { key: first.token })).status).toBe(
      401,
    );
  });

  it('that was changed anywhere is refused', async () => {
    const { volumeID, token } = await made('a');
    const { volumeID: other } = await made('b');
    const fields = token.slice('sbv_'.length).split('.');
    const changed = fields.map((field, at) =>
      fields.map((one, index) => (index === at ? (at === 0 ? other : `${field.slice(0, -2)}zz`) : one)).join('.'),
    );
    const later = fields.map((one, at) => (at === 3 ? String(Number(one) + 1) : one)).join('.');
    for (const text of [...changed, later, '', `${token.slice(4)}.x`])
      for (const id of [volumeID, other])
        expect([text, (await content('GET', id, 'dir?path=/', `sbv_${text}`)).status]).toEqual([text, 401]);
  });

  it('ends with the API key through which it was got, with its time, and with the volume', async () => {
    const { key, record } = await createApiKey(api.records, { id: api.teamId }, 'k');
    const { volumeID, token } = await made('a', key.reveal());
    const status = async (): Promise<number> => (await content('GET', volumeID, 'dir?path=/', token)).status;
    expect(await status()).toBe(200);
    now += 7 * 24 * 3600 * 1000;
    expect(await status()).toBe(401);
    now -= 1000;
    expect(await status()).toBe(200);
    await api.records.apiKeys.remove(api.teamId, record.id);
    expect(await status()).toBe(401);
    const own = (await api.ask('GET', '/volumes/a')).json as Made;
    await api.ask('DELETE', '/volumes/a');
    expect((await content('GET', volumeID, 'dir?path=/', own.token)).status).toBe(404);
  });

  it('may do what its key may do', async () => {
    const { key } = await createApiKey(api.records, { id: api.teamId }, 'viewer', { scopes: ['read', 'create'] });
    const { volumeID, token } = await made('a', key.reveal());
    const refused = await content('GET', volumeID, 'dir?path=/', token);
    expect([refused.status, refused.json]).toEqual([
      403,
      { code: 'scope_missing', message: expect.stringContaining('"run"') as string },
    ]);
  });
});
