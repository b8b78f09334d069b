import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { fileSignature } from '@soulbox/contract';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask, askHttp2, askRaw } from '../testing/http-client.ts';
import { createTestChecker } from '../testing/test-checker.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

const id = 'iprivate';
const checker = createTestChecker();
let world: TestWorld;
/** Bodies that arrived, and whether they arrived completely. */
let arrived: { readonly bytes: number; readonly isComplete: boolean }[] = [];

function takeBody(request: IncomingMessage): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => (bytes += chunk.byteLength));
  request.on('error', () => undefined);
  request.on('close', () => arrived.push({ bytes, isComplete: request.complete }));
}

beforeAll(async () => {
  world = await startTestWorld({ signedUrls: checker, config: { portClosedRetryDelayMs: 1 } });
  world.router.add(id, { secure: true, trafficToken: 'traffic', accessToken: 'access', autoResume: true });
  for (const port of [49983, 8080]) {
    const server = createServer((request, response) => {
      if (request.method === 'POST') takeBody(request);
      request.on('end', () => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ port, method: request.method, url: request.url, headers: request.headers }));
      });
      if (request.method !== 'POST') request.resume();
    });
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhello');
      socket.end();
    });
    await world.serveNet(port, server, { sandboxId: id });
  }
});
afterAll(async () => await world[Symbol.asyncDispose]());
beforeEach(() => {
  arrived = [];
  checker.failure = undefined;
  checker.checked.length = 0;
});

const hostOf = (port: number): string => `${port}-${id}.soulbox.localhost:${world.gateway.port}`;
const shared = (): string => `127.0.0.1:${world.gateway.port}`;

interface Echo {
  readonly port?: number;
  readonly api?: boolean;
  readonly url: string;
  readonly headers: Record<string, string | undefined>;
}

async function get(
  target: string,
  headers: Record<string, string>,
  method = 'GET',
): Promise<{ status: number } & Partial<Echo>> {
  const { status, body } = await ask(world.url + target, { method, headers });
  const parsed = (body.startsWith('{') ? JSON.parse(body) : {}) as Partial<Echo>;
  return { ...parsed, status };
}

describe('a signed request for a port', () => {
  test('needs no traffic token, and the program sees nothing of the signature', async () => {
    const host = hostOf(8080);
    expect((await get('/a?b=1', { host })).status).toBe(403);
    const target = checker.sign(host, {
      path: '/a',
      own: [
        ['b', '1'],
        ['c', 'x y'],
      ],
    });
    expect(await get(target, { host })).toMatchObject({ status: 200, port: 8080, url: '/a?b=1&c=x%20y' });
    expect(checker.checked[0]).toMatchObject({
      ...{ method: 'GET', authority: host, target, isSharedHost: false, isPreflight: false },
      destination: { kind: 'sandbox', sandboxId: id, port: 8080 },
      facts: { address: '127.0.0.1' },
    });
  });

  test('reaches the program in canonical encoding and in the order sent', async () => {
    const host = hostOf(8080);
    const target = checker.sign(host, {
      path: '/a/~b',
      own: [
        ['z', '+'],
        ['a', '/'],
      ],
    });
    const changed = target.replace('/a/~b', '/%61/%7eb').replace('z=%2B', 'z=%2b');
    expect(await get(changed, { host })).toMatchObject({ status: 200, url: '/a/~b?z=%2B&a=%2F' });
  });

  test('works in path form at the host of the API, without wildcard DNS, and only signed', async () => {
    const path = `/sandboxes-http/8080-${id}/a/b`;
    const target = checker.sign(shared(), { path, own: [['c', '1']] });
    const answer = await ask(world.url + target, { headers: { cookie: 'soulbox_key=x' } });
    expect(JSON.parse(answer.body)).toMatchObject({ port: 8080, url: '/a/b?c=1' });
    expect((JSON.parse(answer.body) as Echo).headers['cookie']).toBeUndefined();
    expect(answer.headers['content-security-policy']).toMatch(/^sandbox/);
    expect(checker.checked[0]).toMatchObject({ isSharedHost: true, destination: { sandboxId: id, port: 8080 } });
    expect(await get(path, {})).toMatchObject({ api: true });
  });

  test('works over HTTP/2, and for an upgrade', async () => {
    const host = hostOf(8080);
    const target = checker.sign(host, { path: '/a' });
    const answer = await askHttp2(world.url, { ':path': target, ':authority': host });
    expect(JSON.parse(answer.body)).toMatchObject({ url: '/a' });
    const upgraded = await askRaw(
      world.gateway.port,
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n`,
    );
    expect(upgraded).toMatch(/^HTTP\/1\.1 101 [\s\S]*hello$/);
  });

  test('wakes a paused sandbox', async () => {
    world.router.pause(id);
    const host = hostOf(49983);
    const target = checker.sign(host, { path: '/files', own: [['path', 'a']] });
    expect((await get(target.replace(/.{43}$/, 'A'.repeat(43)), { host })).status).toBe(401);
    expect(world.router.find(id)?.state).toBe('paused');
    expect((await get(target, { host })).status).toBe(200);
  });

  test('whose preflight asks for the signed method passes it on, and uses nothing', async () => {
    const host = hostOf(8080);
    const target = checker.sign(host, { method: 'PUT', path: '/a', grant: { once: true } });
    const answer = await get(target, { host, 'access-control-request-method': 'PUT', origin: 'https://x' }, 'OPTIONS');
    expect(answer).toMatchObject({ status: 200, url: '/a' });
    expect(checker.checked[0]).toMatchObject({ method: 'PUT', isPreflight: true });
    expect((await get(target, { host }, 'OPTIONS')).status).toBe(401);
  });
});

describe('a signed request for a file', () => {
  test.each(['host', 'path'])('in %s form reaches envd with the access token', async (form) => {
    const host = form === 'host' ? hostOf(49983) : shared();
    const path = form === 'host' ? '/files' : `/sandboxes-http/49983-${id}/files`;
    const target = checker.sign(host, { path, own: [['path', '/a b']] });
    const answer = await ask(world.url + target, { headers: { host } });
    const echo = JSON.parse(answer.body) as Echo;
    expect(echo).toMatchObject({ port: 49983, url: '/files?path=%2Fa%20b' });
    expect(echo.headers['x-access-token']).toBe('access');
    expect(answer.headers['content-disposition']).toBe(form === 'host' ? undefined : 'attachment');
  });

  test("does not disturb E2B's signatures beside it", async () => {
    const signature = fileSignature({ path: 'a', operation: 'read', username: '', expiration: undefined }, 'access');
    const query = `path=a&signature=${encodeURIComponent(signature)}`;
    expect(await get(`/files?${query}`, {})).toMatchObject({ status: 200, port: 49983, url: `/files?${query}` });
    expect(checker.checked).toEqual([]);
  });
});

describe('a signed request for a function', () => {
  test('is checked, and passed on without the signature', async () => {
    const open = () => Promise.resolve({ sandboxId: id, port: 8080, leaseMs: 0 });
    await using own = await startTestWorld({ signedUrls: checker, functions: { open } });
    own.router.add(id, { trafficToken: 'traffic' });
    await own.serve(8080, (request, response) => response.end(request.url), { sandboxId: id });
    const host = `fn-shop.soulbox.localhost:${own.gateway.port}`;
    const target = checker.sign(host, { path: '/buy', own: [['n', '2']] });
    expect((await ask(own.url + target, { headers: { host } })).body).toBe('/buy?n=2');
    expect((await ask(own.url + target.replace('n=2', 'n=3'), { headers: { host } })).status).toBe(401);
    const local = checker.sign(`127.0.0.1:${own.gateway.port}`, { path: '/functions-http/shop/buy' });
    expect((await ask(own.url + local)).body).toBe('/buy');
    expect(checker.checked.at(-1)).toMatchObject({
      isSharedHost: true,
      destination: { kind: 'function', name: 'shop' },
    });
  });
});

test('a signed request for the API is passed on with its signature, which the API checks', async () => {
  const target = checker.sign(shared(), { path: '/sandboxes/i1/logs' });
  expect(await get(target, {})).toMatchObject({ api: true, url: target });
  const file = checker.sign(shared(), {
    path: '/files',
    own: [
      ['path', 'a'],
      ['signature', 'v1_x'],
    ],
  });
  expect(await get(file, { 'x-access-token': 'access' })).toMatchObject({ api: true, url: file });
  expect(checker.checked).toEqual([]);
});

describe('a request is refused', () => {
  test.each([
    ['a traffic token beside a signature', 8080, { 'e2b-traffic-access-token': 'traffic' }],
    ['an access token beside a signature', 49983, { 'x-access-token': 'access' }],
    ['routing headers beside a signature', 8080, { 'e2b-sandbox-id': id, 'e2b-sandbox-port': '8080' }],
    ['one routing header beside a signature', 8080, { 'e2b-sandbox-port': '8080' }],
  ])('with %s', async (_what, port, headers) => {
    const host = hostOf(port);
    const target = checker.sign(host, { path: '/files', own: [['path', 'a']] });
    expect((await get(target, { host, ...headers })).status).toBe(400);
    expect(checker.checked).toEqual([]);
  });

  test.each([
    ['an unknown parameter', (target: string) => `${target}&soulbox-x=1`],
    ['a part of the signature only', (target: string) => target.replace(/soulbox-nonce=[^&]*&/, '')],
    ['a parameter of ours alone', () => '/a?soulbox-once=1'],
    ['an encoded name of ours', () => '/a?%73oulbox-once=1'],
    ['a dot segment', (target: string) => target.replace('/a', '/b/%2e%2e/a')],
    ['an encoded slash', (target: string) => target.replace('/a', '/b%2f..%2fa')],
    ['too many characters', (target: string) => `${target}&a=${'x'.repeat(8192)}`],
  ])('with %s, before anybody is asked', async (_what, change) => {
    const host = hostOf(8080);
    const changed = change(checker.sign(host, { path: '/a' }));
    expect((await get(changed, { host, 'e2b-traffic-access-token': 'traffic' })).status).toBe(400);
    expect(checker.checked).toEqual([]);
  });

  test('with the answer of the control plane, and dials nothing', async () => {
    const host = hostOf(8080);
    const target = checker.sign(host, { path: '/a' });
    const before = world.router.dials.length;
    for (const [reason, status] of [
      ['unauthorized', 401],
      ['signed_url_used', 409],
      ['forbidden', 403],
      ['limit_exceeded', 429],
      ['control_unavailable', 503],
      ['internal', 500],
    ] as const) {
      checker.failure = new SoulBoxError(reason, 'secret path /var/x');
      const answer = await ask(world.url + target, { headers: { host } });
      expect([reason, answer.status]).toEqual([reason, status]);
      if (reason === 'internal') expect(answer.body).not.toContain('/var/x');
    }
    expect(world.router.dials.length).toBe(before);
  });

  test('on a gateway that knows no signed URLs', async () => {
    await using other = await startTestWorld();
    const host = `8080-iaaaaaaaaaaaaaaaaaaaa.soulbox.localhost:${other.gateway.port}`;
    expect((await ask(other.url + checker.sign(host, {}), { headers: { host } })).status).toBe(501);
  });
});

describe('a request in progress', () => {
  const endless = 8081;
  beforeAll(async () => {
    const server = createServer((request, response) => {
      if (request.url === '/silent') return;
      if (request.method === 'POST') takeBody(request);
      else response.write('some');
    });
    server.on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined);
      socket.on('end', () => socket.destroy()).resume();
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nhello');
    });
    await world.serveNet(endless, server, { sandboxId: id });
  });
  afterEach(() => checker.endedKeys.clear());

  /** Opens one on a connection of its own. `over` resolves with all that was received. */
  async function open(keyId: string, { method = 'GET', path = '/', more = '', first = /some\r\n$/ } = {}) {
    const host = hostOf(endless);
    const target = checker.sign(host, { method, path, grant: { keyId } });
    const socket = connect(world.gateway.port, '127.0.0.1');
    const text = { value: '' };
    socket.setEncoding('latin1').on('data', (chunk: string) => (text.value += chunk));
    socket.on('error', () => undefined);
    const over = new Promise<string>((resolve) => socket.once('close', () => resolve(text.value)));
    socket.write(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`);
    await expect.poll(() => text.value).toMatch(first);
    return { socket, over, text };
  }
  const upgrade = { more: 'Connection: upgrade\r\nUpgrade: echo\r\n', first: /hello$/ };

  test('ends with the key of its URL, and those of other keys go on', async () => {
    const [one, other] = ['saaaaaaaaaaaa', 'sbbbbbbbbbbbb'];
    const ending = [await open(one), await open(one, upgrade)];
    const staying = [await open(other), await open(other, upgrade)];
    checker.endedKeys.add(one);
    const endedAt = Date.now();
    const [stream] = await Promise.all(ending.map(({ over }) => over));
    expect(Date.now() - endedAt).toBeLessThan(2000);
    expect(stream).not.toMatch(/0\r\n\r\n$/);
    for (const { socket } of staying) {
      expect(socket.closed).toBe(false);
      socket.destroy();
    }
  });

  test('over HTTP/2 is reset', async () => {
    const host = hostOf(endless);
    const target = checker.sign(host, { grant: { keyId: 'saaaaaaaaaaaa' } });
    const asking = askHttp2(world.url, { ':path': target, ':authority': host });
    await expect.poll(() => checker.checked.length).toBe(1);
    checker.endedKeys.add('saaaaaaaaaaaa');
    await expect(asking).rejects.toThrow();
  });

  test('gets 401 if its answer has not begun, and an upload never looks complete', async () => {
    const keyId = 'saaaaaaaaaaaa';
    const waiting = await open(keyId, { path: '/silent', first: /^$/ });
    const upload = await open(keyId, { method: 'POST', more: 'Content-Length: 100\r\n', first: /^$/ });
    upload.socket.write('x'.repeat(50));
    await expect.poll(() => checker.checked.length).toBe(2);
    await sleep(100);
    checker.endedKeys.add(keyId);
    await expect.poll(() => waiting.text.value, { timeout: 2000 }).toMatch(/^HTTP\/1\.1 401 [\s\S]*has ended/);
    waiting.socket.destroy();
    expect(await upload.over).toBe('');
    await expect.poll(() => arrived).toEqual([{ bytes: 50, isComplete: false }]);
  });

  test('goes on while the control plane is away', async () => {
    const { socket, over } = await open('saaaaaaaaaaaa');
    checker.endedKeys.add('saaaaaaaaaaaa');
    checker.failure = new SoulBoxError('control_unavailable', 'away');
    await sleep(1200);
    expect(socket.closed).toBe(false);
    checker.failure = undefined;
    await over;
  });
});

describe('the size limit of a signed URL', () => {
  const limited = (maxBytes: number): { host: string; target: string } => {
    const host = hostOf(8080);
    return { host, target: checker.sign(host, { method: 'POST', path: '/in', grant: { maxBytes } }) };
  };

  test('allows a body of exactly that size, with a length and in chunks', async () => {
    const { host, target } = limited(100_000);
    const body = Buffer.alloc(100_000);
    expect((await ask(world.url + target, { method: 'POST', headers: { host }, body })).status).toBe(200);
    const headers = { host, 'transfer-encoding': 'chunked' };
    expect((await ask(world.url + target, { method: 'POST', headers, body })).status).toBe(200);
    const over2 = await askHttp2(world.url, { ':method': 'POST', ':path': target, ':authority': host }, { body });
    expect(over2.status).toBe(200);
    expect(arrived).toEqual(Array(3).fill({ bytes: 100_000, isComplete: true }));
  });

  test('is enforced on the announced length before the body is read', async () => {
    const { host, target } = limited(10);
    const answer = await ask(world.url + target, { method: 'POST', headers: { host }, body: 'x'.repeat(11) });
    expect(answer.status).toBe(413);
    expect(arrived).toEqual([]);
  });

  test('is enforced while the body arrives: the program never sees a complete request', async () => {
    const { host, target } = limited(100_000);
    const socket = connect(world.gateway.port, '127.0.0.1');
    let said = '';
    socket.setEncoding('latin1').on('data', (text: string) => (said += text));
    socket.on('error', () => undefined);
    socket.write(`POST ${target} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let n = 0; n < 3 && said === ''; n++) {
      socket.write(`c350\r\n${'x'.repeat(50_000)}\r\n`);
      await sleep(50);
    }
    socket.end('0\r\n\r\n');
    await once(socket, 'close');
    expect(said).toMatch(/^HTTP\/1\.1 413 [\s\S]*up to 100000 bytes/);
    await expect.poll(() => arrived).toEqual([{ bytes: expect.any(Number) as number, isComplete: false }]);
    expect(arrived[0]?.bytes).toBeLessThanOrEqual(100_000);
  });

  test('is enforced over HTTP/2, too', async () => {
    const { host, target } = limited(100_000);
    const asking = askHttp2(
      world.url,
      { ':method': 'POST', ':path': target, ':authority': host },
      { body: Buffer.alloc(300_000) },
    );
    expect((await asking).status).toBe(413);
    await expect.poll(() => arrived.map(({ isComplete }) => isComplete)).toEqual([false]);
  });

  test('does not apply to a request without a body', async () => {
    const { host, target } = limited(10);
    expect((await ask(world.url + target, { method: 'POST', headers: { host } })).status).toBe(200);
  });
});

test('only a limited number of checks of an address wait at a time', async () => {
  const held: (() => void)[] = [];
  const waiting = { ...checker, check: () => new Promise<void>((resolve) => held.push(resolve)) };
  await using own = await startTestWorld({ signedUrls: waiting });
  const host = `8080-iaaaaaaaaaaaaaaaaaaaa.soulbox.localhost:${own.gateway.port}`;
  await own.serve(8080, (_request, response) => response.end('ok'));
  const target = checker.sign(host, {});
  const statuses: number[] = [];
  const all = Array.from({ length: 105 }, async () => {
    const { status } = await ask(own.url + target, { headers: { host } });
    statuses.push(status);
  });
  await expect.poll(() => held.length).toBe(100);
  // All of them, because one that arrives after the release would wait for another one.
  await expect.poll(() => statuses).toEqual(Array.from({ length: 5 }, () => 429));
  for (const release of held) release();
  await Promise.all(all);
  expect(statuses.filter((status) => status === 200)).toHaveLength(100);
  const last = ask(own.url + target, { headers: { host } });
  await expect.poll(() => held.length).toBe(101);
  held.at(-1)?.();
  expect((await last).status).toBe(200);
});

test('too many wrong signatures of an address are refused without a check, until a second has passed', async () => {
  const clock = { value: 1_000_000, now: () => clock.value };
  const counting = createTestChecker();
  await using own = await startTestWorld({ signedUrls: counting, clock });
  await own.serve(8080, (_request, response) => response.end('ok'), { sandboxId });
  const host = `8080-${sandboxId}.soulbox.localhost:${own.gateway.port}`;
  const target = counting.sign(host, {});
  const status = async (path: string): Promise<number> => (await ask(own.url + path, { headers: { host } })).status;
  const wrong = target.replace(/.{43}$/, 'A'.repeat(43));
  for (let n = 0; n < 100; n++) expect(await status(wrong)).toBe(401);
  expect([await status(wrong), await status(target), counting.checked.length]).toEqual([429, 429, 100]);
  clock.value += 1000;
  expect([await status(target), await status(wrong)]).toEqual([200, 401]);
});
