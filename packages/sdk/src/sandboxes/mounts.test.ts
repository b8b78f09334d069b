import { expect, test } from 'vitest';
import { startServer } from '../testing/start-server.ts';
import { Sandbox } from './handle.ts';

test('volumes are mounted by their name, by an object with it, and read-only', async () => {
  await using api = await startServer(({ line }) => ({
    status: 200,
    body: line.startsWith('POST')
      ? { sandboxID: 'i1', domain: null, trafficAccessToken: null }
      : [{ sandboxID: 'i1', volumeMounts: [{ name: 'data', path: '/data', readOnly: true }] }, { sandboxID: 'i2' }],
  }));
  const options = { apiUrl: api.url, apiKey: 'key' };
  const snapshot = { volumeID: 'v1', name: 'before', readOnly: true };
  await Sandbox.create({
    ...options,
    volumeMounts: { '/a': 'data', '/b': { name: 'data', readOnly: true }, '/c': snapshot, '/d': { name: 'other' } },
  });
  expect(JSON.parse(api.seen[0]?.body.toString() ?? '')).toMatchObject({
    volumeMounts: [
      { name: 'data', path: '/a' },
      { name: 'data', path: '/b', readOnly: true },
      { name: 'before', path: '/c', readOnly: true },
      { name: 'other', path: '/d' },
    ],
  });
  const mounts: unknown[] = [];
  for await (const { volumeMounts } of Sandbox.list(options)) mounts.push(volumeMounts);
  expect(mounts).toEqual([[{ name: 'data', path: '/data', readOnly: true }], []]);
});

test('buckets are mounted by their name, by an object with it, below a prefix and read-only', async () => {
  const bucketMounts = [{ name: 'data', path: '/data', prefix: 'a/', readOnly: true }];
  await using api = await startServer(({ line }) => ({
    status: 200,
    body: line.startsWith('POST')
      ? { sandboxID: 'i1', domain: null, trafficAccessToken: null }
      : [{ sandboxID: 'i1', bucketMounts }, { sandboxID: 'i2' }],
  }));
  const options = { apiUrl: api.url, apiKey: 'key' };
  const got = { bucketID: 'b1', name: 'got', readOnly: true };
  await Sandbox.create({
    ...options,
    bucketMounts: { '/a': 'data', '/b': { name: 'data', prefix: 'p', readOnly: true }, '/c': got },
  });
  expect((JSON.parse(api.seen[0]?.body.toString() ?? '') as { bucketMounts: unknown }).bucketMounts).toEqual([
    { name: 'data', path: '/a' },
    { name: 'data', path: '/b', prefix: 'p', readOnly: true },
    { name: 'got', path: '/c', readOnly: true },
  ]);
  const mounts: unknown[] = [];
  for await (const info of Sandbox.list(options)) mounts.push(info.bucketMounts);
  expect(mounts).toEqual([bucketMounts, []]);
});

test('a fork and a snapshot say what copies get of the volumes, and nothing unless it is said', async () => {
  await using api = await startServer(({ line }) => ({
    status: 201,
    body: line.endsWith('/fork')
      ? [{ sandbox: { sandboxID: 'i2', domain: null, trafficAccessToken: null } }]
      : { snapshotID: 's1:default', names: [], createdAt: '2026-01-01T00:00:00.000Z' },
  }));
  const options = { apiUrl: api.url, apiKey: 'key' };
  await Sandbox.fork('i1', options);
  await Sandbox.fork('i1', { ...options, volumes: 'clone' });
  await Sandbox.forkSnapshot('s1', { ...options, volumes: 'clone' });
  await Sandbox.createSnapshot('i1', { ...options, volumes: 'snapshot' });
  expect(api.seen.map(({ body }) => (JSON.parse(body.toString()) as { volumes?: string }).volumes)).toEqual([
    ...[undefined, 'clone', 'clone', 'snapshot'],
  ]);
});
