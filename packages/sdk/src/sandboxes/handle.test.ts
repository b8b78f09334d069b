import { expect, test } from 'vitest';
import { startServer } from '../testing/start-server.ts';
import { Sandbox } from './handle.ts';

const badPaths = ['@evil.test/x', ':1/', '.evil.test/', '?x', 'x', ''];

test('a path of a port cannot name another server, which would get the access token', async () => {
  const asked: string[] = [];
  const options = {
    ...{ sandboxId: 'i1', domain: 'one.test', apiKey: 'key', trafficAccessToken: 'secret' },
    fetch: async (input: string | URL | Request) => {
      asked.push(input instanceof Request ? input.url : String(input));
      return await Promise.resolve(
        Response.json({ url: 'https://x', expiresAt: new Date().toISOString(), keyID: 'k' }),
      );
    },
  };
  const handle = new Sandbox(options);
  for (const path of badPaths) {
    await expect(handle.fetch(3000, path)).rejects.toMatchObject({ reason: 'bad_request' });
    await expect(handle.signUrl({ port: 3000, path })).rejects.toMatchObject({ reason: 'bad_request' });
  }
  expect(asked).toEqual([]);
  await handle.fetch(3000, '//evil.test/../x?y#z');
  expect(new URL(asked[0] ?? '').host).toBe('3000-i1.one.test');
});

test('a signed path cannot leave the port of its sandbox on a server without a domain', async () => {
  await using api = await startServer(() => ({ status: 200, body: { url: 'u', expiresAt: '2026-01-01', keyID: 'k' } }));
  const handle = new Sandbox({ sandboxId: 'i1', apiUrl: api.url, apiKey: 'key' });
  for (const path of ['/../80-i2/', '/a/%2e%2e/../../80-i2'])
    await expect(handle.signUrl({ port: 80, path })).rejects.toMatchObject({ reason: 'bad_request' });
  await handle.signUrl({ port: 80, path: '/a/../b' });
  expect(api.seen.map(({ body }) => JSON.parse(body.toString()) as unknown)).toEqual([
    { url: `${api.url}/sandboxes-http/80-i1/a/../b` },
  ]);
});
