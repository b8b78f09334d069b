import { fileSignature } from '@soulbox/contract';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask } from '../testing/http-client.ts';
import { at, sleeper, startSleeperWorld, token } from '../testing/sleeper.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
beforeEach(async () => {
  world = await startSleeperWorld();
});
afterEach(async () => await world[Symbol.asyncDispose]());

describe('a paused sandbox that does not resume automatically', () => {
  beforeEach(() => {
    world.router.add('iresting');
    world.router.pause('iresting');
  });

  test('is 502 in the form of one that is gone, and the text gives advice', async () => {
    const answer = await ask(world.url, { headers: at(8080, 'iresting') });
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body)).toEqual({
      sandboxId: 'iresting',
      message: 'Sandbox "iresting" is paused. Resume it with Sandbox.connect(), or create it with autoResume.',
      code: 502,
    });
  });

  test.each([49983, 8080])('is neither woken through port %i nor counted as used', async (port) => {
    await ask(`${world.url}/health`, { headers: at(port, 'iresting') });
    expect(world.router.wakes).toEqual([]);
    expect(world.router.dials).toEqual([]);
    expect(world.router.visits).toEqual([]);
  });
});

describe('a request without permission does not wake the sandbox:', () => {
  beforeEach(() => {
    world.router.add('ilocked', { autoResume: true, trafficToken: 'right' });
    world.router.pause('ilocked');
    world.router.pause(sleeper);
  });
  afterEach(() => {
    expect(world.router.wakes).toEqual([]);
    expect(world.router.dials).toEqual([]);
  });

  test.each([{}, { 'e2b-traffic-access-token': 'wrong' }])('a traffic token %o', async (headers) => {
    expect((await ask(world.url, { headers: { ...at(8080, 'ilocked'), ...headers } })).status).toBe(403);
  });

  test.each([{}, { 'x-access-token': '' }, { 'x-access-token': 'wrong' }, { 'x-access-token': 'token-of-ilocked' }])(
    'an access token %o',
    async (headers) => {
      const answer = await ask(`${world.url}/process.Process/List`, {
        method: 'POST',
        headers: { ...at(49983), ...headers },
        body: '{}',
      });
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body)).toMatchObject({ sandboxId: sleeper, code: 403 });
    },
  );

  test.each([
    ['by its own host', at(49983)],
    ['by its own host, with the token', { ...at(49983), ...token }],
    ['by headers', { 'e2b-sandbox-id': sleeper, 'e2b-sandbox-port': '49983' }],
    ['by headers, with the token', { 'e2b-sandbox-id': sleeper, 'e2b-sandbox-port': '49983', ...token }],
    ['by its token alone', token],
  ])('a health request %s, which is answered with no', async (_form, headers) => {
    for (const path of ['/health', '/health?x']) {
      const answer = await ask(`${world.url}${path}`, { headers });
      expect([answer.status, answer.body]).toEqual([502, expect.stringContaining('paused') as string]);
    }
    expect(world.router.visits).toEqual([]);
  });

  test.each(['/init', '/resumed', '/soulbox/logs', '//init', '/%69nit', '/freeze'])(
    'the host-only path %s',
    async (path) => {
      const answer = await ask(`${world.url}${path}`, { method: 'POST', headers: { ...at(49983), ...token } });
      expect(answer.status).toBe(404);
    },
  );

  test.each([
    ['a wrong signature', 'wrong', undefined],
    ["another sandbox's signature", 'token-of-ilocked', undefined],
    ['an expired signature', 'right', '1000'],
    ['an expiry that is no number', 'right', 'never'],
  ])('%s', async (_name, accessToken, expiration) => {
    const path = signedPath('read', accessToken, expiration);
    expect((await ask(`${world.url}${path}`, { headers: at(49983) })).status).toBe(403);
  });

  test('a read signature used to write', async () => {
    const path = signedPath('read', 'right', undefined);
    expect((await ask(`${world.url}${path}`, { method: 'POST', headers: at(49983), body: 'x' })).status).toBe(403);
  });
});

function signedPath(operation: 'read' | 'write', accessToken: string, expiration: string | undefined): string {
  const signature = fileSignature({ path: 'a.txt', operation, username: 'user', expiration }, accessToken);
  const query = new URLSearchParams({ path: 'a.txt', username: 'user', signature });
  if (expiration !== undefined) query.set('signature_expiration', expiration);
  return `/files?${query.toString()}`;
}

describe('a request with permission wakes the sandbox:', () => {
  beforeEach(() => world.router.pause(sleeper));
  afterEach(() => expect(world.router.wakes).toEqual([sleeper]));

  test('with the access token', async () => {
    expect((await ask(`${world.url}/metrics`, { headers: { ...at(49983), ...token } })).status).toBe(200);
  });

  test.each(['/files?path=a', '/files'])('with only the access token: %s', async (path) => {
    const answer = await ask(`${world.url}${path}`, { method: 'POST', headers: token, body: 'data' });
    expect([answer.status, answer.body]).toEqual([200, 'data']);
  });

  test.each([
    ['its own host', at(49983)],
    ['a shared host', { host: 'sandbox.soulbox.localhost' }],
  ])('with a signed URL on %s', async (_name, headers) => {
    const expiration = String(Math.ceil(Date.now() / 1000) + 60);
    const answer = await ask(`${world.url}${signedPath('write', 'right', expiration)}`, {
      method: 'POST',
      headers,
      body: 'data',
    });
    expect([answer.status, answer.body]).toEqual([200, 'data']);
  });

  test('without credentials, through a public port', async () => {
    expect((await ask(`${world.url}/health`, { headers: at(8080) })).status).toBe(204);
  });
});
