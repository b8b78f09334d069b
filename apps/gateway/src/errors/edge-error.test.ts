import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, askHttp2 } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

const browser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36';
let world: TestWorld;

beforeAll(async () => {
  world = await startTestWorld({ config: { portClosedRetries: 3, portClosedRetryDelayMs: 30 } });
  world.router.add('ilocked', { trafficToken: 'right' });
  for (const port of [49983, 8080]) {
    await world.serve(port, (request, response) => response.end(JSON.stringify(request.headers)));
    await world.serve(port, (request, response) => response.end(JSON.stringify(request.headers)), {
      sandboxId: 'ilocked',
    });
  }
});
afterAll(async () => await world[Symbol.asyncDispose]());

const json = (text: string): unknown => JSON.parse(text) as unknown;

describe('a sandbox that does not exist', () => {
  test('is 502 with exactly the documented body', async () => {
    const answer = await ask(world.url, { headers: { host: '49983-inotthere.soulbox.localhost' } });
    expect(answer.status).toBe(502);
    expect(answer.headers['content-type']).toContain('application/json');
    expect(answer.body).toBe('{"sandboxId":"inotthere","message":"The sandbox was not found","code":502}');
  });

  test('is 502 for an upload of any size, too', async () => {
    const answer = await ask(`${world.url}/files`, {
      method: 'POST',
      headers: { host: '49983-inotthere.soulbox.localhost' },
      body: Buffer.alloc(4 * 1024 * 1024),
    });
    expect(answer.status).toBe(502);
  });

  test('is 502 without a body for HEAD', async () => {
    const host = '49983-inotthere.soulbox.localhost';
    const answer = await ask(world.url, { method: 'HEAD', headers: { host } });
    expect([answer.status, answer.body]).toEqual([502, '']);
    const overHttp2 = await askHttp2(world.url, { ':method': 'HEAD', ':path': '/', ':authority': host });
    expect(overHttp2.status).toBe(502);
  });

  test('is 502 over HTTP/2', async () => {
    const answer = await askHttp2(world.url, { ':path': '/', ':authority': '80-inotthere.soulbox.localhost' });
    expect(answer.status).toBe(502);
    expect(json(answer.body)).toEqual({ sandboxId: 'inotthere', message: 'The sandbox was not found', code: 502 });
  });
});

describe('a sandbox that is stopped because the disk of its host is full', () => {
  beforeAll(() => world.router.add('istopped', { waitsForRoom: true, trafficToken: 'right' }));
  const expected = {
    sandboxId: 'istopped',
    message: 'Sandbox "istopped" is stopped because the disk of its host is full. Retry later.',
    code: 507,
  };

  test('is 507 at once on every port, with a Retry-After header', async () => {
    const envd = await ask(world.url, { headers: { host: '49983-istopped.soulbox.localhost' } });
    expect([envd.status, json(envd.body), envd.headers['retry-after']]).toEqual([507, expected, '1']);
    const headers = { host: '8080-istopped.soulbox.localhost', 'e2b-traffic-access-token': 'right' };
    const port = await ask(world.url, { headers });
    expect([port.status, json(port.body)]).toEqual([507, expected]);
  });

  test('reports that only to clients that may access the port', async () => {
    const answer = await ask(world.url, { headers: { host: '8080-istopped.soulbox.localhost' } });
    expect(answer.status).toBe(403);
  });
});

describe('a port without a listener', () => {
  test('is 502 with the port after a few attempts', async () => {
    const before = world.router.dials.length;
    const { url, host } = world.urlOf(9999);
    const answer = await ask(url, { headers: { host } });
    expect(answer.status).toBe(502);
    expect(answer.body).toBe(
      `{"sandboxId":"${sandboxId}","message":"The sandbox is running but port is not open","port":9999,"code":502}`,
    );
    expect(world.router.dials.length - before).toBe(4);
  });

  test('is served if the server starts between two attempts', async () => {
    const { url, host } = world.urlOf(7777);
    const asked = ask(url, { headers: { host } });
    await world.serve(7777, (_request, response) => response.end('up'));
    expect((await asked).body).toBe('up');
  });

  test('is not retried after the client has left', async () => {
    const { url, host } = world.urlOf(9998);
    await Promise.all(
      Array.from({ length: 20 }, async () => await ask(url, { headers: { host } }).then((answer) => answer.status)),
    );
    expect((await ask(`${world.url}/health`)).status).toBe(200);
  });
});

describe('a service that does not answer correctly', () => {
  test.each([
    ['closes at once', (socket: import('node:net').Socket) => void socket.destroy()],
    ['says something else', (socket: import('node:net').Socket) => void socket.end('SSH-2.0-OpenSSH\r\n')],
    ['sends status 0', (socket: import('node:net').Socket) => void socket.end('HTTP/1.1 000 x\r\n\r\n')],
    [
      'switches unasked',
      (socket: import('node:net').Socket) =>
        void socket.end('HTTP/1.1 101 x\r\nUpgrade: y\r\nConnection: upgrade\r\n\r\n'),
    ],
    [
      'sends endless headers',
      (socket: import('node:net').Socket) => void socket.write(`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(20_000)}`),
    ],
    [
      'sends length and chunks',
      (socket: import('node:net').Socket) =>
        void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    ],
    ['splits a header', (socket: import('node:net').Socket) => void socket.end('HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n')],
  ])('that %s results in 502', async (_what, onConnection) => {
    const { createServer } = await import('node:net');
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => onConnection(socket));
    });
    await world.serveNet(6000, server);
    const { url, host } = world.urlOf(6000);
    const answer = await ask(url, { headers: { host } });
    expect(answer.status).toBe(502);
    expect(json(answer.body)).toMatchObject({ sandboxId, port: 6000, code: 502 });
    server.close();
  });
});

describe('the page for browsers', () => {
  const host = '8080-inotthere.soulbox.localhost';

  test('is shown for a navigation', async () => {
    const answer = await ask(world.url, { headers: { host, 'user-agent': browser, accept: 'text/html' } });
    expect(answer.status).toBe(502);
    expect(answer.headers['content-type']).toContain('text/html');
    expect(answer.body).toContain('inotthere');
  });

  test.each([
    ['wants JSON', { 'user-agent': browser, accept: 'application/json' }],
    ['comes from fetch', { 'user-agent': browser, 'sec-fetch-mode': 'cors' }],
    ['comes from no browser', { 'user-agent': 'curl/8.0' }],
    ['names nobody', {}],
  ])('is not shown to a request that %s', async (_what, headers) => {
    const answer = await ask(world.url, { headers: { host, ...headers } });
    expect(answer.headers['content-type']).toContain('application/json');
  });

  test("escapes the client's text", async () => {
    const answer = await ask(`${world.url}/init/%3Cscript%3E"<b>'&`.replaceAll('<', '%3C'), {
      headers: { host: world.urlOf(49983).host, 'user-agent': browser },
    });
    expect(answer.status).toBe(404);
    expect(answer.body).not.toContain('"<b>');
    expect(answer.body).toContain('&#39;&amp;');
  });
});

describe('the traffic token', () => {
  const host = '8080-ilocked.soulbox.localhost';
  const message = (end: string): string => `Sandbox is secured with traffic access token. ${end}`;

  test('is required', async () => {
    const answer = await ask(world.url, { headers: { host } });
    expect(answer.status).toBe(403);
    expect(json(answer.body)).toEqual({
      sandboxId: 'ilocked',
      message: message("Token header 'e2b-traffic-access-token' is missing"),
      code: 403,
    });
  });

  test.each(['wrong', '', 'right ', 'righ', 'right, right'.slice(0, 5) + 'x'])('is compared: "%s"', async (token) => {
    const answer = await ask(world.url, { headers: { host, 'e2b-traffic-access-token': token } });
    // A trailing blank is not part of a header's value.
    expect(answer.status).toBe(token.trim() === 'right' ? 200 : 403);
    if (answer.status === 403)
      expect(json(answer.body)).toMatchObject({
        message: message("Provided token in header 'e2b-traffic-access-token' is invalid"),
      });
  });

  test('opens the port, but is not passed on to the service', async () => {
    const answer = await ask(world.url, { headers: { host, 'e2b-traffic-access-token': 'right' } });
    expect(answer.status).toBe(200);
    expect(answer.body).not.toContain('right');
  });

  test('is not required by envd, which has its own token', async () => {
    const answer = await ask(world.url, { headers: { host: '49983-ilocked.soulbox.localhost' } });
    expect(answer.status).toBe(200);
  });
});

describe('a path of envd that is reserved for the host', () => {
  test.each([
    '/init',
    '/init/',
    '//init',
    '//evil/init',
    '///evil//init',
    '/\\evil/init',
    '//evil@x:80/init',
    '/%2fevil/init',
    '//evil/x/../init',
    '//evil/soulbox/logs',
    '/./init',
    '/x/../init',
    '/%69nit',
    '/%2569nit',
    '/INIT',
    '/init?x=1',
    '/init;x',
    '/init%00',
    '/init%20',
    '/init%2f',
    '/%2e/init',
    '/x/%2e%2e/init',
    '/\\init',
    '/init/below',
    '/freeze',
    '/unfreeze',
    '/collapse',
    '/fsfreeze',
    '/fsthaw',
    '/resumed',
    '/rehearse-resumed',
    '/soulbox/anything',
    '/soulbox',
  ])('is 404: %s', async (path) => {
    const answer = await ask(`${world.url}/`, {
      method: 'POST',
      headers: { host: world.urlOf(49983).host },
    });
    expect(answer.status).toBe(200);
    const refused = await askHttp2(world.url, {
      ':method': 'POST',
      ':path': path,
      ':authority': world.urlOf(49983).host,
    });
    expect(refused.status).toBe(404);
    expect(json(refused.body)).toEqual({ message: 'Route not found', path: path.split('?')[0], code: 404 });
  });

  test.each([
    '/files?path=/init',
    '/evil/init',
    '/initial',
    '/process.Process/Start',
    '/health',
    '/filesystem.Filesystem/Stat',
  ])('is not %s', async (path) => {
    const answer = await ask(`${world.url}${path}`, { headers: { host: world.urlOf(49983).host } });
    expect(answer.status).toBe(200);
  });

  test("is allowed on a user's own port", async () => {
    const answer = await ask(`${world.url}/init`, { headers: { host: world.urlOf(8080).host } });
    expect(answer.status).toBe(200);
  });
});

test('a sandbox with too many streams answers 429 and recovers afterwards', async () => {
  await using small = await startTestWorld({ config: { maxStreamsPerSandbox: 2 } });
  const waiting: (() => void)[] = [];
  await small.serve(8080, (_request, response) => waiting.push(() => response.end('done')));
  const { url, host } = small.urlOf(8080);
  const held = [ask(url, { headers: { host } }), ask(url, { headers: { host } })];
  await expect.poll(() => waiting.length).toBe(2);
  const refused = await ask(url, { headers: { host } });
  expect(refused.status).toBe(429);
  expect(json(refused.body)).toEqual({ sandboxId, message: expect.any(String) as string, code: 429 });
  for (const release of waiting) release();
  expect((await Promise.all(held)).map((answer) => answer.body)).toEqual(['done', 'done']);
  const after = ask(url, { headers: { host } });
  await expect.poll(() => waiting.length).toBe(3);
  waiting[2]?.();
  expect((await after).status).toBe(200);
});
