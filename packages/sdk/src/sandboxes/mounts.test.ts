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
