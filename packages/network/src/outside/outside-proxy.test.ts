import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createOutsidePolicy } from './outside-policy.ts';
import { createOutsideProxy, refusalWords } from './outside-proxy.ts';
import { createReach } from './reach.ts';
import type { ReachOptions } from './reach.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const serve = async (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> =>
  await listen(createServer(answer));
const hello = async (): Promise<number> =>
  await serve(({ method, url, headers }, answer) => {
    answer.setHeader(
      'x-seen',
      `${method ?? ''} ${url ?? ''} ${headers.host ?? ''} ${headers['proxy-authorization'] ?? '-'}`,
    );
    answer.end('hello');
  });

const strict = { policy: createOutsidePolicy(), isKnown: () => false };
const startProxy = async (options: ReachOptions): Promise<number> =>
  await listen(createOutsideProxy(createReach(options)));

interface Seen {
  readonly status: number | undefined;
  readonly words: string | undefined;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

async function get(proxyPort: number, path: string, host: string): Promise<Seen> {
  const asked = request({
    host: '127.0.0.1',
    port: proxyPort,
    path,
    headers: { host, 'proxy-authorization': 'Basic eA==' },
  });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  let body = '';
  for await (const part of answer) body += String(part);
  return { status: answer.statusCode, words: answer.statusMessage, body, headers: answer.headers };
}

async function openTunnel(
  proxyPort: number,
  target: string,
): Promise<{ status: number; words: string; socket: Socket }> {
  const asked = request({ host: '127.0.0.1', port: proxyPort, method: 'CONNECT', path: target });
  asked.end();
  const [answer, socket] = (await once(asked, 'connect')) as [IncomingMessage, Socket];
  return { status: answer.statusCode ?? 0, words: answer.statusMessage ?? '', socket };
}

test('passes plain requests and tunnels to known places, and forwards no proxy headers', async () => {
  const port = await hello();
  const proxy = await startProxy({ ...strict, isKnown: (host, known) => host === '127.0.0.1' && known === port });
  const place = `127.0.0.1:${port}`;
  const answer = await get(proxy, `http://${place}/a?b=c`, place);
  expect(answer).toMatchObject({ status: 200, body: 'hello', headers: { 'x-seen': `GET /a?b=c ${place} -` } });
  const { status, socket } = await openTunnel(proxy, place);
  expect(status).toBe(200);
  socket.write(`GET /inner HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  let text = '';
  for await (const part of socket) text += String(part);
  expect(text).toMatch(/^HTTP\/1.1 200 OK[^]*X-Seen: GET \/inner x -/i);
});

test.each([
  '127.0.0.1',
  'localhost',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '10.0.0.1',
  '169.254.169.254',
  '168.63.129.16',
  '0.0.0.0',
])('refuses %s, both by name and by address, with a message of its own', async (host) => {
  const port = await hello();
  const proxy = await startProxy(strict);
  expect(await openTunnel(proxy, `${host}:${port}`)).toMatchObject({ status: 403, words: refusalWords });
  expect(await get(proxy, `http://${host}:${port}/`, 'x')).toMatchObject({ status: 403, body: refusalWords });
});

test('serves nothing itself: no path, no other scheme, no invalid target', async () => {
  const proxy = await startProxy(strict);
  for (const path of ['/', '/etc/passwd', 'https://127.0.0.1/', 'ftp://127.0.0.1/'])
    expect((await get(proxy, path, '127.0.0.1')).status, path).toBeGreaterThanOrEqual(400);
  for (const target of ['127.0.0.1', 'a:b', ':80', '[::1:80', 'x@127.0.0.1:80'])
    expect((await openTunnel(proxy, target)).status, target).toBeGreaterThanOrEqual(400);
});

test('a place where nobody listens is told apart from a forbidden one', async () => {
  const proxy = await startProxy({ ...strict, isKnown: () => true });
  expect(await openTunnel(proxy, '127.0.0.1:1')).toMatchObject({ status: 502 });
});

test("uses the operator's proxy with the checked address, never with the name", async () => {
  const port = await hello();
  const targets: string[] = [];
  const upstream = createServer();
  upstream.on('connect', ({ url = '', headers }: IncomingMessage, client: Socket) => {
    targets.push(`${url} ${headers['proxy-authorization'] ?? ''}`);
    const outside = connect(port, '127.0.0.1');
    client.write('HTTP/1.1 200 OK\r\n\r\n');
    client.pipe(outside).pipe(client);
    client.on('error', () => outside.destroy());
  });
  const proxyUrl = new URL(`http://me:pass@127.0.0.1:${await listen(upstream)}`);
  const open = { isOpen: () => true };
  const proxy = await startProxy({ policy: open, isKnown: () => false, proxy: proxyUrl });
  expect(await get(proxy, `http://localhost:${port}/`, 'localhost')).toMatchObject({ status: 200, body: 'hello' });
  expect(targets).toEqual([
    expect.stringMatching(new RegExp(`^(127\\.0\\.0\\.1|\\[::1\\]):${port} Basic bWU6cGFzcw==$`)),
  ]);
  // Forbidden places are not requested from the proxy, and known places are reached without it.
  const closed = await startProxy({ ...strict, proxy: proxyUrl });
  expect((await openTunnel(closed, `localhost:${port}`)).status).toBe(403);
  const known = await startProxy({ ...strict, isKnown: () => true, proxy: proxyUrl });
  expect((await openTunnel(known, `localhost:${port}`)).status).toBe(200);
  expect(targets).toHaveLength(1);
});
