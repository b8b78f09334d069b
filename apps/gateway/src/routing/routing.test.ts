import { fileSignature } from '@soulbox/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, askHttp2, askRaw } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;

beforeAll(async () => {
  world = await startTestWorld({ config: { portClosedRetryDelayMs: 1 } });
  for (const port of [49983, 8080]) {
    await world.serve(port, (request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ sandbox: true, port, url: request.url, headers: request.headers }));
    });
  }
});
afterAll(async () => await world[Symbol.asyncDispose]());

interface Echo {
  api?: boolean;
  sandbox?: boolean;
  port?: number;
  url: string;
  headers: Record<string, string | undefined>;
}

async function echo(path: string, headers: Record<string, string>): Promise<Echo> {
  const answer = await ask(`${world.url}${path}`, { headers });
  expect(answer.status, answer.body).toBe(200);
  return JSON.parse(answer.body) as Echo;
}

describe('the host form', () => {
  test.each([
    [`8080-${sandboxId}.soulbox.localhost`, 8080],
    [`8080-${sandboxId}.soulbox.localhost:3000`, 8080],
    [`8080-${sandboxId}.any.other.domain`, 8080],
    [`8080-${sandboxId.toUpperCase()}.SOULBOX.localhost`, 8080],
    [`49983-${sandboxId}.soulbox.localhost.`, 49983],
    [`49983-${sandboxId}-someclient.soulbox.localhost`, 49983],
  ])('leads %s to the sandbox', async (host, port) => {
    expect(await echo('/x?y=1', { host })).toMatchObject({ sandbox: true, port, url: '/x?y=1' });
  });

  test('has priority over the routing headers', async () => {
    const headers = { host: `8080-${sandboxId}.soulbox.localhost`, ...routing('49983') };
    expect(await echo('/', headers)).toMatchObject({ port: 8080 });
  });

  test.each([
    `0-${sandboxId}.soulbox.localhost`,
    `65536-${sandboxId}.soulbox.localhost`,
    `99999999999-${sandboxId}.soulbox.localhost`,
    `080-${sandboxId}.soulbox.localhost`,
    `8080-.soulbox.localhost`,
    `8080-a-b-c.soulbox.localhost`,
    `8080-a_b.soulbox.localhost`,
    `8080-${sandboxId}@soulbox.localhost`,
    `49983-a.b@127.0.0.1`,
    `user:pass@8080-${sandboxId}.soulbox.localhost`,
    `8080-${sandboxId}.soulbox.localhost:80:80`,
    `8080-${sandboxId}.soulbox.localhost/..`,
    `8080-${sandboxId}.x, 49983-${sandboxId}.x`,
    `[8080-${sandboxId}]`,
    `8080-${'a'.repeat(10_000)}.x`,
  ])('rejects %s with 400 and dials nothing', async (host) => {
    const before = world.router.dials.length;
    const answer = await ask(world.url, { headers: { host } });
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toContain('text/plain');
    expect(world.router.dials.length).toBe(before);
  });

  test('rejects two Host headers', async () => {
    const host = `Host: 8080-${sandboxId}.soulbox.localhost\r\n`;
    const answer = await askRaw(
      world.gateway.port,
      `GET / HTTP/1.1\r\n${host}Host: api.soulbox.localhost\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('rejects an :authority and a host that differ', async () => {
    const answer = await askHttp2(world.url, {
      ':path': '/',
      ':authority': `8080-${sandboxId}.soulbox.localhost`,
      host: `49983-${sandboxId}.soulbox.localhost`,
    });
    expect(answer.status).toBe(400);
  });
});

function routing(port: string, id = sandboxId): Record<string, string> {
  return { 'e2b-sandbox-id': id, 'e2b-sandbox-port': port };
}

describe('the header form', () => {
  test.each([
    'localhost:3000',
    '127.0.0.1:3000',
    '[::1]:3000',
    'sandbox.soulbox.localhost',
    'soulbox.localhost',
    'box.lan',
  ])('is accepted on %s', async (host) => {
    const answer = await echo('/files', { host, ...routing('49983') });
    expect(answer).toMatchObject({ sandbox: true, port: 49983 });
  });

  test('is not passed on to the sandbox', async () => {
    const { headers } = await echo('/', { host: 'localhost', ...routing('8080') });
    expect(Object.keys(headers).filter((name) => name.startsWith('e2b-'))).toEqual([]);
  });

  test.each(['0', '65536', '-1', '1e3', '', ' ', '80 80', '0x50', '8080.0', '+80', '８０'])(
    'rejects the port "%s"',
    async (port) => {
      const value = Buffer.from(port).toString('latin1');
      const answer = await ask(world.url, { headers: { host: 'localhost', ...routing(value) } });
      expect(answer.status).toBe(400);
    },
  );

  test.each(['', '..', 'a/b', 'a.b', 'a_b', '../../etc', 'a%00b', 'x'.repeat(10_000)])(
    'rejects the id "%s"',
    async (id) => {
      const answer = await ask(world.url, { headers: { host: 'localhost', ...routing('8080', id) } });
      expect(answer.status).toBe(400);
    },
  );

  test.each([{ 'e2b-sandbox-id': sandboxId }, { 'e2b-sandbox-port': '8080' }])(
    'rejects one header without the other',
    async (headers) => {
      const answer = await ask(world.url, { headers: { host: 'localhost', ...headers } });
      expect([answer.status, answer.body]).toEqual([400, 'missing header']);
    },
  );

  test('rejects a repeated header', async () => {
    const answer = await askRaw(
      world.gateway.port,
      `GET / HTTP/1.1\r\nHost: localhost\r\nE2b-Sandbox-Id: ${sandboxId}\r\nE2b-Sandbox-Port: 8080\r\nE2b-Sandbox-Port: 49983\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('the API', () => {
  test.each(['api.soulbox.localhost:3000', 'localhost', '127.0.0.1', 'my-server.example.com', 'soulbox.localhost'])(
    'receives a request without a sandbox at %s',
    async (host) => {
      expect(await echo('/v2/sandboxes?a=b%2Fc', { host })).toMatchObject({ api: true, url: '/v2/sandboxes?a=b%2Fc' });
    },
  );

  test('receives everything at its own host name, whatever the headers say', async () => {
    expect(await echo('/', { host: 'api.soulbox.localhost', ...routing('8080') })).toMatchObject({ api: true });
  });

  test('receives the isolation that a client requests, and a sandbox does not', async () => {
    const said = { 'x-soulbox-isolation': 'gvisor', 'x-soulbox-host-token': 'forged' };
    const { headers } = await echo('/v2/sandboxes', said);
    expect([headers['x-soulbox-isolation'], headers['x-soulbox-host-token']]).toEqual(['gvisor', undefined]);
    const inside = await echo('/', { host: `8080-${sandboxId}.soulbox.localhost`, ...said });
    expect(inside).toMatchObject({ sandbox: true });
    expect(inside.headers['x-soulbox-isolation']).toBeUndefined();
  });

  test('receives an HTTP/1.0 request without a host', async () => {
    expect(await askRaw(world.gateway.port, 'GET /health HTTP/1.0\r\n\r\n')).toContain('"url":"/health"');
  });

  test('is reported as unavailable with 503', async () => {
    await using other = await startTestWorld({ apiAddress: { socketPath: '/nonexistent/api.sock' } });
    const answer = await ask(`${other.url}/sandboxes`);
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({ code: 503, message: expect.any(String) as string });
  });

  test('is reported with 502 if it breaks the connection', async () => {
    await using other = await startTestWorld({ api: (request) => request.socket.destroy() });
    const answer = await ask(`${other.url}/sandboxes`, { method: 'POST', body: '{}' });
    expect([answer.status, (JSON.parse(answer.body) as { code: number }).code]).toEqual([502, 502]);
  });
});

describe('the request target', () => {
  test('may be absolute if it names the same host', async () => {
    const host = `8080-${sandboxId}.soulbox.localhost`;
    const answer = await askRaw(
      world.gateway.port,
      `GET http://${host}/a?b HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toContain('"url":"/a?b"');
  });

  test.each([
    `GET http://8080-${sandboxId}.soulbox.localhost/ HTTP/1.1\r\nHost: api.soulbox.localhost`,
    `GET http://api.soulbox.localhost/ HTTP/1.1\r\nHost: 8080-${sandboxId}.soulbox.localhost`,
    `GET ftp://localhost/ HTTP/1.1\r\nHost: localhost`,
    `GET * HTTP/1.1\r\nHost: localhost`,
    `GET / HTTP/1.1\r\nHost : localhost`,
    `GET / HTTP/1.1`,
    `GET / HTTP/1.1\r\nHost: localhost\r\nA: b\0c`,
    `G@T / HTTP/1.1\r\nHost: localhost`,
    `GET / HTTP/9.9\r\nHost: localhost`,
    `hello`,
  ])('is rejected in %j', async (head) => {
    expect(await askRaw(world.gateway.port, `${head}\r\nConnection: close\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('of CONNECT is never dialed', async () => {
    const answer = await askRaw(world.gateway.port, `CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
  });

  test.each([
    ['GET', '/a b'],
    ['GE T', '/'],
    ['GET', '/\u00fc\u4e00'],
  ])('is rejected on HTTP/2 if HTTP/1.1 does not allow it: %s %s', async (method, path) => {
    const before = world.router.dials.length;
    const ended = askHttp2(world.url, {
      ':method': method,
      ':path': path,
      ':authority': `8080-${sandboxId}.soulbox.localhost`,
    });
    // Either nghttp2 rejects the stream, or the gateway answers 400.
    expect(
      await ended.then(
        (answer) => answer.status,
        () => 400,
      ),
    ).toBe(400);
    expect(world.router.dials.length).toBe(before);
  });
});

describe('a request on a shared host with an access token and without a sandbox', () => {
  const token = { 'x-access-token': 'token of isecure' };
  beforeAll(async () => {
    world.router.add('isecure', { secure: true, accessToken: 'token of isecure' });
    await world.serve(49983, (request, response) => response.end(`envd ${request.method ?? ''} ${request.url ?? ''}`), {
      sandboxId: 'isecure',
    });
  });

  test.each([
    ['GET', '/health'],
    ['GET', '/files?path=a'],
    ['POST', '/files'],
    ['HEAD', '/files?path=a'],
  ])('is sent to the envd that owns the token: %s %s', async (method, path) => {
    const answer = await ask(`${world.url}${path}`, { method, headers: token });
    expect(answer.status).toBe(200);
    if (method !== 'HEAD') expect(answer.body).toBe(`envd ${method} ${path}`);
  });

  test('has priority over a signature, as in envd', async () => {
    const answer = await ask(`${world.url}/files?path=f&signature=v1_x`, { headers: token });
    expect(answer.body).toBe('envd GET /files?path=f&signature=v1_x');
  });

  test.each(['/health', '/files?path=a'])('is 502 for an unknown token: %s', async (path) => {
    for (const wrong of ['', 'wrong', `token-of-${sandboxId}`]) {
      const answer = await ask(`${world.url}${path}`, { headers: { 'x-access-token': wrong } });
      expect([answer.status, JSON.parse(answer.body)]).toEqual([
        502,
        { code: 502, message: 'The sandbox that this access token belongs to was not found.' },
      ]);
    }
  });

  test.each(['/sandboxes', '/health/x', '/files/x', '/process.Process/List', '/init'])(
    'is sent to the API for any other path: %s',
    async (path) => {
      expect(JSON.parse((await ask(`${world.url}${path}`, { headers: token })).body)).toMatchObject({ api: true });
    },
  );

  test.each(['/health', '/files'])('is sent to the API at its own host name: %s', async (path) => {
    const answer = await ask(`${world.url}${path}`, { headers: { ...token, host: 'api.soulbox.localhost' } });
    expect(JSON.parse(answer.body)).toMatchObject({ api: true });
  });
});

describe('a signed file URL on a shared host', () => {
  const sign = (path: string, operation: 'read' | 'write', expiration?: string): string => {
    const file = { path, operation, username: 'user', expiration };
    const query = new URLSearchParams({
      path,
      username: 'user',
      signature: fileSignature(file, `token-of-${sandboxId}`),
    });
    if (expiration !== undefined) query.set('signature_expiration', expiration);
    return `/files?${query.toString()}`;
  };

  test.each([
    ['GET', 'read'],
    ['HEAD', 'read'],
    ['POST', 'write'],
    ['PUT', 'write'],
  ] as const)('sends %s to the envd that signed for %s', async (method, operation) => {
    const path = sign('a b+c/?x', operation, '2000000000');
    const answer = await ask(`${world.url}${path}`, { method });
    expect(answer.status).toBe(200);
    if (method !== 'HEAD') expect(JSON.parse(answer.body)).toMatchObject({ port: 49983, url: path });
  });

  test('sends a preflight to the same envd', async () => {
    const headers = { 'access-control-request-method': 'POST', origin: 'https://x' };
    const answer = await ask(`${world.url}${sign('f', 'write')}`, { method: 'OPTIONS', headers });
    expect(JSON.parse(answer.body)).toMatchObject({ port: 49983 });
  });

  test.each([
    ['a reading signature for a write', 'POST', sign('f', 'read')],
    ['another path', 'GET', sign('f', 'read').replace('path=f', 'path=g')],
    ['nonsense', 'GET', '/files?path=f&signature=v1_x'],
    ['an empty signature', 'GET', '/files?path=f&signature='],
  ])('rejects %s as envd would', async (_what, method, path) => {
    const answer = await ask(`${world.url}${path}`, { method });
    expect([answer.status, JSON.parse(answer.body)]).toEqual([401, { code: 401, message: 'invalid signature' }]);
  });
});
