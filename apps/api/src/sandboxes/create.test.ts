import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { ConnectError, Code } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ config: { teamSandboxLimit: 3 } });
});
afterEach(() => api[Symbol.asyncDispose]());

const create = (body: object, path = '/v2/sandboxes') =>
  api.ask('POST', path, { body: { templateID: 'base', ...body } });

describe('creating a sandbox', () => {
  it('through v2 is secure and lives 300 s', async () => {
    const answer = await create({ metadata: { a: 'b' }, envVars: { SECRET: 'hush' } });
    expect(answer.status).toBe(201);
    expect(answer.json).toEqual({
      sandboxID: expect.stringMatching(/^i[a-z0-9]{20}$/) as string,
      templateID: 'tbase',
      clientID: 'soulbox',
      envdVersion: '0.6.13',
      alias: 'base',
      envdAccessToken: 'access-token',
      trafficAccessToken: null,
      domain: null,
      isolation: 'container',
    });
    expect(api.runner.creates[0]).toMatchObject({
      timeoutSeconds: 300,
      secure: true,
      teamId: api.teamId,
      envVars: { SECRET: 'hush' },
      metadata: { a: 'b' },
    });
  });

  it('through v1 is insecure and lives 15 s by default', async () => {
    const insecure = await create({}, '/sandboxes');
    expect(insecure.json).not.toHaveProperty('envdAccessToken');
    expect(api.runner.creates[0]).toMatchObject({ timeoutSeconds: 15, secure: false });
    const secure = await create({ secure: true, timeout: 7 }, '/sandboxes');
    expect(secure.json).toHaveProperty('envdAccessToken', 'access-token');
    expect(api.runner.creates[1]).toMatchObject({ timeoutSeconds: 7, secure: true });
  });

  it('logs the output of commands only if it is asked to', async () => {
    await create({});
    await create({ logOutput: true });
    await create({ logOutput: true }, '/sandboxes');
    expect(api.runner.creates.map(({ logOutput }) => logOutput)).toEqual([false, true, true]);
    expect((await create({ logOutput: 'yes' })).status).toBe(400);
  });

  it('passes the network settings on and shows them', async () => {
    const network = {
      allowOut: ['1.1.1.1', '8.8.0.0/16'],
      denyOut: ['0.0.0.0/0'],
      allowPublicTraffic: false,
      maskRequestHost: 'localhost:${PORT}',
    };
    const answer = await create({ network, allow_internet_access: false });
    expect(answer.json).toHaveProperty('trafficAccessToken', 'traffic-token');
    const { sandboxID } = answer.json as { sandboxID: string };
    const info = await api.ask('GET', `/sandboxes/${sandboxID}`);
    expect(info.json).toMatchObject({ network, allowInternetAccess: false });
  });

  it.each([
    [{ network: { allow_internet_access: false } }],
    [{ network: { allow_internet_access: true }, allow_internet_access: false }],
    [{ network: { allow_internet_access: false }, allow_internet_access: true }],
  ])('closes the sandbox if either member says so: %j', async (body) => {
    const { json } = await create(body);
    const info = await api.ask('GET', `/sandboxes/${(json as { sandboxID: string }).sandboxID}`);
    expect(info.json).toMatchObject({ allowInternetAccess: false });
  });

  it.each([
    ['name', 'base'],
    ['name in capitals and blanks', ' Base '],
    ['id', 'tbase'],
    ['name and default tag', 'base:default'],
    ['team and name', 'default/base'],
    ['team, name and tag', 'default/base:default'],
  ])('finds the template by %s', async (_how, templateID) => {
    expect((await create({ templateID })).json).toMatchObject({ templateID: 'tbase', alias: 'base' });
  });

  it('reuses the list of templates, and notices that a name has moved to another template', async () => {
    await create({});
    const listed = api.runner.lists.length;
    await create({});
    expect(api.runner.lists).toHaveLength(listed);
    api.runner.baseId = 'tnewbase';
    expect((await create({})).json).toMatchObject({ templateID: 'tnewbase', alias: 'base' });
    expect((await create({ templateID: 'tbase' })).status).toBe(404);
  });

  it.each([
    'nope',
    'base:v1',
    'other/base',
    '../base',
    'base/../base',
    'a b',
    'mcp-gateway',
    '\u0000',
    'x'.repeat(200),
  ])('returns 404 for the template %j', async (templateID) => {
    const answer = await create({ templateID });
    expect(answer.status).toBe(404);
    expect(answer.json).toEqual({
      code: 404,
      message: expect.stringMatching(/^Template ".*" was not found\.$/) as string,
    });
  });

  it('omits the alias of a template without a name', async () => {
    expect((await create({ templateID: 'tnameless' })).json).not.toHaveProperty('alias');
  });

  it('ignores fields that a newer client may send', async () => {
    expect((await create({ futureField: { a: 1 } })).status).toBe(201);
  });

  it('refuses a member of `network` that it does not know, because it may be a restriction', async () => {
    const answer = await create({ network: { denyout: ['0.0.0.0/0'] } });
    expect(answer.status).toBe(400);
    expect(JSON.stringify(answer.json)).toContain('denyout');
    expect(api.runner.creates).toEqual([]);
  });

  it('accepts documented fields that have no effect here', async () => {
    const body = {
      autoPause: false,
      autoPauseMemory: true,
      autoResume: { enabled: false },
      mcp: null,
      volumeMounts: [],
    };
    expect((await create({ ...body, iam: { tokens: {} }, network: { egressProxy: null, rules: {} } })).status).toBe(
      201,
    );
  });

  it('passes ports that speak TLS on, and shows them', async () => {
    const answer = await create({ network: { httpsPorts: [8443, 3000] } });
    expect(answer.status).toBe(201);
    expect(api.runner.creates).toMatchObject([{ network: { httpsPorts: [8443, 3000] } }]);
  });

  it.each([
    ['port 0', [0]],
    ['port 65536', [65_536]],
    ["envd's port", [49_983]],
    ['a fraction', [1.5]],
    ['a port as text', ['443']],
    ['101 ports', Array.from({ length: 101 }, (_, index) => index + 1)],
  ])('refuses %s in httpsPorts', async (_, httpsPorts) => {
    expect((await create({ network: { httpsPorts } })).status).toBe(400);
    expect(api.runner.creates).toEqual([]);
  });

  it.each([
    ['no template', { templateID: undefined }],
    ['an empty template', { templateID: '' }],
    ['a template of 10,000 characters', { templateID: 'a'.repeat(10_000) }],
    ['a number as template', { templateID: 1 }],
    ['timeout 0', { timeout: 0 }],
    ['a negative timeout', { timeout: -1 }],
    ['a fraction of a second', { timeout: 1.5 }],
    ['a timeout as text', { timeout: '300' }],
    ['timeout null', { timeout: null }],
    ['timeout 2^53', { timeout: 2 ** 53 }],
    ['metadata that is no map', { metadata: ['a'] }],
    ['metadata with a number', { metadata: { a: 1 } }],
    ['metadata with an empty key', { metadata: { '': 'a' } }],
    ['metadata with NUL', { metadata: { a: 'b\0c' } }],
    ['metadata with half a surrogate pair', { metadata: { a: '\ud800' } }],
    ['too much metadata', { metadata: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ''])) }],
    ['a metadata key of 257 bytes', { metadata: { ['k'.repeat(257)]: '' } }],
    ['a metadata value of 4097 bytes', { metadata: { k: 'v'.repeat(4097) } }],
    ['a variable with = in its name', { envVars: { 'a=b': 'c' } }],
    ['a variable of over 128 KiB', { envVars: { a: 'v'.repeat(128 * 1024) } }],
    ['autoPause as text', { autoPause: 'true' }],
    ['an address that is none', { network: { denyOut: ['300.1.1.1'] } }],
    ['a block with a bad length', { network: { denyOut: ['10.0.0.0/33'] } }],
    ['a domain to deny', { network: { denyOut: ['example.com'] } }],
    ['an IPv6 block', { network: { allowOut: ['fd00::/8'] } }],
    ['a line break in a host', { network: { maskRequestHost: 'a\r\nx: y' } }],
    ['10,000 rules', { network: { denyOut: Array.from({ length: 10_000 }, () => '1.1.1.1') } }],
    ['a domain in a policy that is open otherwise', { network: { allowOut: ['example.com'] } }],
    ['a wildcard in the middle', { network: { allowOut: ['a.*.com'], denyOut: ['0.0.0.0/0'] } }],
    ['a port that is none', { network: { allowOut: ['8.8.8.8:99999'] } }],
    ['two rules for a host', { network: { rules: { 'a.com': [{}, {}] } } }],
    ['a proxy without a port', { network: { egressProxy: { address: 'proxy.example.com' } } }],
    ['a limit of nothing', { network: { limits: { bytes: 0 } } }],
  ])('returns 400 for %s', async (_what, body) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.json).toEqual({ code: 400, message: expect.any(String) as string });
    expect(api.runner.creates).toEqual([]);
  });

  it("refuses a timeout above the maximum with E2B's message", async () => {
    expect((await create({ timeout: 24 * 3600 })).status).toBe(201);
    const answer = await create({ timeout: 24 * 3600 + 1 });
    expect(answer.json).toEqual({ code: 400, message: 'Timeout cannot be greater than 24 hours' });
  });

  it('returns 429 with Retry-After at the limit of the team, and 201 again after a kill', async () => {
    const made = await Promise.all(Array.from({ length: 6 }, () => create({})));
    expect(made.map((answer) => answer.status).sort()).toEqual([201, 201, 201, 429, 429, 429]);
    const refused = made.find((answer) => answer.status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect(refused?.json).toEqual({ code: 429, message: expect.any(String) as string });
    const { sandboxID } = made.find((answer) => answer.status === 201)?.json as { sandboxID: string };
    await api.ask('DELETE', `/sandboxes/${sandboxID}`);
    expect((await create({})).status).toBe(201);
  });

  it('does not count the sandboxes of another team', async () => {
    for (let n = 0; n < 3; n++) await create({});
    const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' }, key: api.otherKey });
    expect(answer.status).toBe(201);
  });

  it.each([
    [
      'a start that failed',
      new SoulBoxError('sandbox_start_failed', 'It could not be started.'),
      503,
      'sandbox_create_failed',
    ],
    ['a full host', new SoulBoxError('too_many_sandboxes', 'The host is full.'), 429, undefined],
  ])('leaves nothing behind after %s', async (_what, error, status, errorCode) => {
    api.runner.beforeCreate = () => Promise.reject(connectErrorFromError(error));
    for (let n = 0; n < 4; n++) {
      const answer = await create({});
      expect(answer.status).toBe(status);
      expect(answer.json).toEqual({
        code: status,
        message: error.message,
        ...(errorCode === undefined ? {} : { error_code: errorCode }),
      });
    }
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
    expect((await api.ask('GET', '/v2/sandboxes')).json).toEqual([]);
  });

  it('returns 503 while the runner is away, and 500 without details for its faults', async () => {
    api.runner.beforeCreate = () =>
      Promise.reject(new ConnectError('connect ECONNREFUSED /run/secret.sock', Code.Unavailable));
    const away = await create({});
    expect(away.status).toBe(503);
    expect(away.text).not.toContain('secret');
    api.runner.beforeCreate = () => Promise.reject(new Error('ENOENT /var/lib/secret'));
    const fault = await create({});
    expect(fault.status).toBe(500);
    expect(fault.text).not.toContain('secret');
    expect(fault.json).toMatchObject({ code: 500, error_code: 'internal_server_error' });
  });

  it('never writes keys, variables or tokens to the log', async () => {
    await create({ envVars: { PASSWORD: 'hush-hush' } });
    await create({ envVars: { PASSWORD: 5, 'hush-hush': '' } });
    const log = await api.readLog();
    expect(log).toContain('"route":"/v2/sandboxes"');
    for (const secret of [api.key, 'hush-hush', 'access-token']) expect(log).not.toContain(secret);
  });
});

describe('a caller who disconnects during the create', () => {
  it('leaves a sandbox that is in the list', async () => {
    let proceed = (): void => undefined;
    api.runner.beforeCreate = () =>
      new Promise((resolve) => {
        proceed = resolve;
      });
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const body = '{"templateID":"base"}';
    socket.write(
      `POST /v2/sandboxes HTTP/1.1\r\nhost: x\r\nx-api-key: ${api.key}\r\ncontent-type: application/json\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`,
    );
    await until(() => api.runner.creates.length === 1);
    socket.destroy();
    await sleep(50);
    proceed();
    await until(async () => ((await api.ask('GET', '/v2/sandboxes')).json as unknown[]).length === 1);
    expect(await api.records.sandboxes.clearCreations()).toBe(0);
  });

  it('leaves nothing before the body is complete', async () => {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write(
      `POST /v2/sandboxes HTTP/1.1\r\nhost: x\r\nx-api-key: ${api.key}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"templ`,
    );
    await sleep(50);
    socket.destroy();
    expect((await create({})).status).toBe(201);
    expect(api.runner.creates).toHaveLength(1);
  });
});
