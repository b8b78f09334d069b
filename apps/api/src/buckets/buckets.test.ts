import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { createApiKey } from '@soulbox/storage';
import { startTestApi } from '../testing/test-api.ts';
import type { Answer, TestApi } from '../testing/test-api.ts';

let api: TestApi;
let now: number;
beforeEach(async () => {
  now = Date.now();
  const config = { teamBucketLimit: 3, bucketAllowPrivate: ['10.9.8.7', 'minio.internal'] };
  api = await startTestApi({ config, clock: { now: () => now } });
});
afterEach(() => api[Symbol.asyncDispose]());

const canary = 'canary-credential';
const s3 = { accessKeyId: 'AKIA', secretAccessKey: canary };
const url = 's3://bucket/prefix?region=eu-west-1';
const create = (body: object, key = api.key) =>
  api.ask('POST', '/buckets', { body: { name: 'data', url, credentials: s3, ...body }, key });
const get = (idOrName: string, key = api.key) => api.ask('GET', `/buckets/${idOrName}`, { key });
const change = (idOrName: string, body: unknown, key = api.key) =>
  api.ask('PATCH', `/buckets/${idOrName}`, { body, key });
const idOf = ({ json }: Answer): string => (json as { bucketID: string }).bucketID;
const reasonOf = ({ headers }: Answer): string | null => headers.get('x-soulbox-reason');
const accessOf = (bucketId: string, teamId = api.teamId) => api.buckets.get({ teamId, bucketId });

describe('a bucket', () => {
  it('is created, found by id and name, listed, and never shows its credentials', async () => {
    const made = await create({});
    expect(made.status).toBe(201);
    const time = new Date(now).toISOString();
    expect(made.json).toEqual({
      ...{ bucketID: expect.stringMatching(/^b[a-z0-9]{20}$/) as string, name: 'data', url },
      ...{ hasCredentials: true, readOnly: false, createdAt: time, updatedAt: time },
    });
    for (const idOrName of [idOf(made), 'data'])
      expect(await get(idOrName)).toMatchObject({ status: 200, json: made.json });
    const list = await api.ask('GET', '/buckets');
    expect(list.json).toEqual([made.json]);
    const changed = await change('data', { credentials: { ...s3, sessionToken: canary } });
    expect(changed.status).toBe(200);
    expect(made.text + list.text + changed.text + (await api.readLog())).not.toContain(canary);
    // Not even in the audit log, which names what was changed.
    const rows = await api.records.audit.listWaiting(api.teamId, 0, 99);
    const notes = rows.map(({ text }) => text).join('\n');
    expect(notes).toContain('"bucket.create"');
    expect(notes).toContain('"facts":{"access":"set","readOnly":false}');
    expect(notes).not.toContain(canary);
  });

  it('has encrypted credentials, which only the bucket service gets', async () => {
    const id = idOf(await create({ readOnly: true }));
    expect(await accessOf(id)).toEqual({ name: 'data', url, credentials: JSON.stringify(s3), isReadOnly: true });
    const sealed = (await api.records.buckets.findSealedCredentials(api.teamId, id)) ?? '';
    expect(sealed).not.toContain('AKIA');
    const place = { table: 'buckets', row: id, field: 'credentials', team: api.teamId };
    expect((await api.keyring.open(sealed, place)).reveal()).toBe(JSON.stringify(s3));
    await expect(api.keyring.open(sealed, { ...place, row: 'other' })).rejects.toThrow();
    await expect(accessOf(id, api.otherTeamId)).rejects.toMatchObject({ reason: 'bucket_not_found' });
    await expect(accessOf('b')).rejects.toMatchObject({ reason: 'bucket_not_found' });
  });

  it('without credentials is public', async () => {
    const made = await create({ credentials: undefined });
    expect(made.json).toMatchObject({ hasCredentials: false });
    expect(await accessOf(idOf(made))).toMatchObject({ credentials: '' });
  });

  it('gets other credentials, loses them, and is made read-only, each alone', async () => {
    const id = idOf(await create({}));
    now += 5000;
    const changed = await change('data', { credentials: { accessKeyId: 'B', secretAccessKey: 'c' } });
    expect(changed.json).toMatchObject({ readOnly: false, updatedAt: new Date(now).toISOString() });
    expect((await accessOf(id)).credentials).toBe('{"accessKeyId":"B","secretAccessKey":"c"}');
    expect((await change(id, { readOnly: true })).json).toMatchObject({ readOnly: true, hasCredentials: true });
    expect(await accessOf(id)).toMatchObject({ isReadOnly: true, credentials: expect.stringContaining('B') as string });
    expect((await change(id, { credentials: null })).json).toMatchObject({ readOnly: true, hasCredentials: false });
    for (const bad of [
      {},
      { url: 's3://other' },
      { credentials: {} },
      { credentials: { sasToken: 'x' } },
      { readOnly: 1 },
    ])
      expect([bad, (await change(id, bad)).status]).toEqual([bad, 400]);
    expect((await get(id)).json).toMatchObject({ url, readOnly: true, hasCredentials: false });
  });

  it('has a name of its own in the team, and looks to other teams as if it did not exist', async () => {
    const id = idOf(await create({}));
    const again = await create({});
    expect([again.status, reasonOf(again)]).toEqual([409, 'bucket_exists']);
    expect((await create({}, api.otherKey)).status).toBe(201);
    await api.ask('DELETE', '/buckets/data', { key: api.otherKey });
    for (const idOrName of [id, 'data']) {
      expect((await get(idOrName, api.otherKey)).status).toBe(404);
      expect((await change(idOrName, { readOnly: true }, api.otherKey)).status).toBe(404);
      expect((await api.ask('DELETE', `/buckets/${idOrName}`, { key: api.otherKey })).status).toBe(404);
      expect((await api.ask('POST', `/buckets/${idOrName}/check`, { key: api.otherKey })).status).toBe(404);
    }
    expect((await get(id)).json).toMatchObject({ readOnly: false });
    expect(api.bucketService.checks).toEqual([]);
  });

  it('counts against the limit of its team, which names what to raise', async () => {
    for (const name of ['a', 'b', 'c']) expect((await create({ name })).status).toBe(201);
    const refused = await create({ name: 'd' });
    expect([refused.status, refused.text]).toEqual([429, expect.stringContaining('(3)')]);
    expect(refused.text).toContain('buckets');
    await api.ask('DELETE', '/buckets/a');
    expect((await create({ name: 'd' })).status).toBe(201);
  });

  it('is listed by page, newest first', async () => {
    for (const name of ['a', 'b', 'c']) {
      now += 1;
      await create({ name });
    }
    const first = await api.ask('GET', '/buckets?limit=2');
    const next = first.headers.get('x-next-token') ?? '';
    const second = await api.ask('GET', `/buckets?limit=2&nextToken=${encodeURIComponent(next)}`);
    const names = [first, second].flatMap(({ json }) => (json as { name: string }[]).map(({ name }) => name));
    expect([names, second.headers.get('x-next-token')]).toEqual([['c', 'b', 'a'], null]);
    expect((await api.ask('GET', '/buckets?nextToken=x')).status).toBe(400);
  });

  it('is changed by administrators only, and read and checked by others', async () => {
    await create({});
    const keyWith = async (scopes: readonly ('create' | 'run' | 'read')[]) =>
      (await createApiKey(api.records, { id: api.teamId }, 'k', { scopes })).key.reveal();
    const worker = await keyWith(['create', 'run', 'read']);
    expect((await create({ name: 'b' }, worker)).status).toBe(403);
    expect((await change('data', { readOnly: true }, worker)).status).toBe(403);
    expect((await api.ask('DELETE', '/buckets/data', { key: worker })).status).toBe(403);
    expect((await get('data', worker)).status).toBe(200);
    expect((await api.ask('POST', '/buckets/data/check', { key: worker })).status).toBe(204);
    expect((await api.ask('POST', '/buckets/data/check', { key: await keyWith(['read']) })).status).toBe(403);
  });
});

describe('a new bucket', () => {
  const azure = 'azblob://container?account=accountname';
  const google = { type: 'service_account', client_email: 'a@b', private_key: 'k', private_key_id: 'i' };

  it.each<[string, object]>([
    ['s3://bucket', s3],
    ['s3://bucket?region=eu-west-1', { ...s3, sessionToken: 't' }],
    ['r2://bucket/p?account=0123456789abcdef0123456789abcdef', s3],
    ['s3://bucket?endpoint=https://minio.example.com', s3],
    ['s3://bucket?endpoint=http://10.9.8.7:9000&insecure=true', s3],
    ['s3://bucket?endpoint=https://minio.internal:9000', s3],
    [azure, { accountKey: 'k' }],
    [azure, { sasToken: 't' }],
  ])('at %s with %o is accepted', async (place, credentials) => {
    const made = await create({ url: place, credentials });
    expect([made.status, made.text]).toEqual([201, expect.stringContaining(place)]);
    expect((await accessOf(idOf(made))).credentials).toBe(JSON.stringify(credentials));
  });

  it('at Google keeps only the members that are used, no addresses', async () => {
    const credentials = { ...google, token_uri: 'http://169.254.169.254/', universe_domain: 'evil.example' };
    const made = await create({ url: 'gs://bucket', credentials });
    expect(made.status).toBe(201);
    expect(JSON.parse((await accessOf(idOf(made))).credentials)).toEqual(google);
  });

  it.each<[string, string, string]>([
    ['a folder of this machine', 'file:///var/lib', 'must be s3://'],
    ['no URL', 'bucket', 'It must have one of the forms'],
    ['an unknown scheme', 'https://bucket', 'Its scheme'],
    ['a password', 's3://user:canary-credential@bucket', 'must not contain credentials'],
    ['a key as a parameter', 's3://bucket?secretAccessKey=canary-credential', 'must not contain credentials'],
    ['an unknown parameter', 's3://bucket?x=canary-credential', 'must not have the parameter'],
    ['a region that is no name', 's3://bucket?region=x.evil.example/', 'region must'],
    ['a prefix that leaves it', 's3://bucket/a/%2e%2e%2fb', 'not a valid object key'],
    ['an address of this host', 's3://bucket?endpoint=http://127.0.0.1:9000', 'SOULBOX_BUCKET_ALLOW_PRIVATE'],
    ['this host by name', 's3://bucket?endpoint=http://localhost:9000', 'SOULBOX_BUCKET_ALLOW_PRIVATE'],
    ['this host, as IPv6', 's3://bucket?endpoint=http://[::1]:9000', 'SOULBOX_BUCKET_ALLOW_PRIVATE'],
    ['a private address', 's3://bucket?endpoint=https://10.9.8.6', 'SOULBOX_BUCKET_ALLOW_PRIVATE'],
    ['a metadata service', 'gs://bucket?endpoint=http://169.254.169.254&insecure=true', 'SOULBOX_BUCKET_ALLOW_PRIVATE'],
    ['a hidden private address', 's3://bucket?endpoint=https://2130706433', 'SOULBOX_BUCKET_ALLOW_PRIVATE'],
    ['Azure at a private address', `${azure}&endpoint=https://192.168.0.1/a`, 'SOULBOX_BUCKET_ALLOW_PRIVATE'],
    ['plain http', 's3://bucket?endpoint=http://minio.example.com', 'endpoint must be https'],
  ])('at %s is refused', async (_what, place, text) => {
    const refused = await create({ url: place });
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining(text)]);
    expect(refused.text).toContain('url: ');
    expect(refused.text + (await api.readLog())).not.toContain(canary);
    expect((await api.ask('GET', '/buckets')).json).toEqual([]);
  });

  it.each<[string, string, unknown]>([
    ['of another store', url, { accountKey: canary }],
    ['without the secret', url, { accessKeyId: canary }],
    ['with an empty secret', url, { accessKeyId: canary, secretAccessKey: '' }],
    ['with more members', url, { ...s3, roleArn: canary }],
    ['with both secrets of Azure', azure, { accountKey: canary, sasToken: canary }],
    ['without a secret of Azure', azure, {}],
    ['of a user of Google', 'gs://bucket', { ...google, type: 'authorized_user', private_key: canary }],
    ['as a text', url, canary],
    ['with a number', url, { ...s3, accessKeyId: 5 }],
    ['of 17 KiB', url, { ...s3, secretAccessKey: canary.repeat(1024) }],
    ['as null', url, null],
  ])('with credentials %s is refused, and none of them is shown', async (_what, place, credentials) => {
    const refused = await create({ url: place, credentials });
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining('credentials')]);
    expect(refused.text + (await api.readLog())).not.toContain(canary);
  });

  it.each(['', 'a/b', 'ä', 'a'.repeat(129), `b${'a'.repeat(20)}`])('with the name %j is refused', async (name) => {
    expect((await create({ name })).status).toBe(400);
  });
});

describe('a check of a bucket', () => {
  it('asks the service, and returns its error', async () => {
    const id = idOf(await create({}));
    expect((await api.ask('POST', '/buckets/data/check')).status).toBe(204);
    expect(api.bucketService.checks).toEqual([`${api.teamId} ${id}`]);
    for (const [reason, status] of [
      ['storage_access_denied', 403],
      ['storage_not_found', 404],
      ['storage_throttled', 429],
      ['storage_unavailable', 503],
      ['buckets_unavailable', 503],
    ] as const) {
      api.bucketService.failure = new SoulBoxError(reason, 'The store says no.');
      const refused = await api.ask('POST', `/buckets/${id}/check`);
      expect([refused.status, reasonOf(refused)]).toEqual([status, reason]);
      expect(refused.text).toContain('The store says no.');
    }
  });

  it('is limited to some at once for each team', async () => {
    await create({});
    const hanging = Promise.withResolvers<undefined>();
    api.bucketService.hold = hanging.promise;
    const four = Array.from({ length: 4 }, () => api.ask('POST', '/buckets/data/check'));
    await expect.poll(() => api.bucketService.checks).toHaveLength(4);
    expect((await api.ask('POST', '/buckets/data/check')).status).toBe(429);
    hanging.resolve(undefined);
    expect((await Promise.all(four)).map(({ status }) => status)).toEqual([204, 204, 204, 204]);
  });
});
