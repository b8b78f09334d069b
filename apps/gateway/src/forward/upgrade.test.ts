import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer as createNetServer } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { askRaw } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
let sockets: WebSocketServer;

beforeEach(async () => {
  world = await startTestWorld({ config: { idleTimeoutMs: 1000, portClosedRetryDelayMs: 1 } });
  const server = createServer((_request, response) => response.writeHead(426).end('upgrade please'));
  sockets = new WebSocketServer({
    server,
    maxPayload: 64 * 1024 * 1024,
    verifyClient: ({ req }: { req: IncomingMessage }) => req.url !== '/refused',
    handleProtocols: (protocols) => [...protocols][0] ?? false,
  });
  sockets.on('connection', (socket, request) => {
    socket.send(JSON.stringify(request.headers));
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    socket.on('error', () => undefined);
  });
  await world.serveNet(8080, server);
});

afterEach(async () => {
  for (const socket of sockets.clients) socket.terminate();
  await world[Symbol.asyncDispose]();
});

const open = (path = '/', headers: Record<string, string> = {}, protocols: string[] = []): WebSocket =>
  new WebSocket(`ws://127.0.0.1:${world.gateway.port}${path}`, protocols, {
    headers: { host: world.urlOf(8080).host, ...headers },
  });

const nextMessage = async (socket: WebSocket): Promise<Buffer> => {
  const [data] = (await once(socket, 'message')) as [Buffer];
  return data;
};

test('a WebSocket echoes, with its protocol and without our internal headers', async () => {
  const socket = open('/chat?x=1', { 'x-soulbox-host-token': 'forged' }, ['soul']);
  const headers = JSON.parse(String(await nextMessage(socket))) as Record<string, string>;
  expect(socket.protocol).toBe('soul');
  expect(headers['x-soulbox-host-token']).toBeUndefined();
  expect(headers['x-forwarded-for']).toBe('127.0.0.1');
  socket.send('hello');
  expect(String(await nextMessage(socket))).toBe('hello');
  const large = Buffer.alloc(16 * 1024 * 1024, 7);
  socket.send(large);
  expect((await nextMessage(socket)).equals(large)).toBe(true);
  socket.close(4001, 'bye');
  const [code] = (await once(socket, 'close')) as [number];
  expect(code).toBe(4001);
  await expect.poll(() => sockets.clients.size).toBe(0);
});

test('the refusal of an upgrade reaches the client as an ordinary answer', async () => {
  const [refused] = (await once(open('/refused'), 'error')) as [Error];
  expect(refused.message).toContain('401');
  const plain = await askRaw(
    world.gateway.port,
    `GET / HTTP/1.1\r\nHost: ${world.urlOf(8080).host}\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n`,
  );
  expect(plain).toMatch(/^HTTP\/1\.1 (400|426) /);
});

test('an upgrade to a sandbox that is gone, a closed port and a host-only path gets the edge error', async () => {
  const upgrade = async (host: string, path = '/'): Promise<string> =>
    await askRaw(
      world.gateway.port,
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
  expect(await upgrade('80-inotthere.x')).toMatch(/^HTTP\/1\.1 502 [^]*The sandbox was not found/);
  expect(await upgrade(`81-${sandboxId}.x`)).toMatch(/^HTTP\/1\.1 502 [^]*port is not open/);
  expect(await upgrade(`49983-${sandboxId}.x`, '/init')).toMatch(/^HTTP\/1\.1 404 /);
});

test('Upgrade: h2c and an upgrade with a body continue as plain requests', async () => {
  await world.serve(8081, (request, response) => void request.pipe(response));
  const ask = async (upgrade: string): Promise<string> =>
    await askRaw(
      world.gateway.port,
      `POST / HTTP/1.1\r\nHost: ${world.urlOf(8081).host}\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: 4\r\n\r\nbody`,
    );
  expect(await ask('h2c')).toMatch(/^HTTP\/1\.1 200 [^]*body/);
  expect(await ask('websocket')).toMatch(/^HTTP\/1\.1 200 [^]*body/);
});

test('any other protocol is passed through, including bytes sent along with the request', async () => {
  await world.serveNet(
    8082,
    createNetServer((socket) => {
      socket.on('error', () => undefined);
      let head = '';
      socket.on('data', function onData(chunk: Buffer) {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        socket.off('data', onData);
        socket.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nfirst:');
        socket.write(head.slice(end + 4), 'latin1');
        socket.pipe(socket);
      });
    }),
  );
  const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
  socket.write(`GET / HTTP/1.1\r\nHost: ${world.urlOf(8082).host}\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\nearly`);
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
  await expect.poll(() => received).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\nfirst:early$/);
  const closed = once(socket, 'close');
  socket.end('late');
  await expect.poll(() => received).toMatch(/first:earlylate$/);
  await closed;
});

test('a kill breaks open WebSockets and does not affect other sandboxes', async () => {
  world.router.add('iother');
  const server = createServer();
  const other = new WebSocketServer({ server });
  other.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
  await world.serveNet(8080, server, { sandboxId: 'iother' });
  const kept = new WebSocket(world.url, { headers: { host: '8080-iother.x' } });
  await once(kept, 'open');
  const socket = open();
  await nextMessage(socket);
  const closed = once(socket, 'close').catch((error: unknown) => [error]);
  socket.on('error', () => undefined);
  world.router.kill(sandboxId);
  const [code] = (await closed) as [unknown];
  expect(code === 1006 || code instanceof Error).toBe(true);
  kept.send('still here');
  expect(String(await nextMessage(kept))).toBe('still here');
  kept.terminate();
});

test('a service that breaks the connection breaks it for the client, too', async () => {
  const socket = open();
  socket.on('error', () => undefined);
  await nextMessage(socket);
  for (const client of sockets.clients) (client as unknown as { _socket: Socket })._socket.resetAndDestroy();
  const [code] = (await once(socket, 'close').catch(() => [1006])) as [number];
  expect(code).toBe(1006);
});

test('a client that vanishes ends the connection inside the sandbox', async () => {
  const socket = open();
  await nextMessage(socket);
  expect(sockets.clients.size).toBe(1);
  socket.terminate();
  await expect.poll(() => sockets.clients.size).toBe(0);
});

test('a WebSocket without traffic is closed after the idle time, and one with traffic is not', async () => {
  const [idle, busy] = [open(), open()];
  await Promise.all([nextMessage(idle), nextMessage(busy)]);
  const timer = setInterval(() => busy.send('x'), 200);
  const closed = new Promise((resolve) => idle.once('close', resolve));
  idle.on('error', () => undefined);
  await closed;
  await sleep(500);
  expect(busy.readyState).toBe(WebSocket.OPEN);
  clearInterval(timer);
  busy.terminate();
});

test('a WebSocket over HTTP/2 is an extended CONNECT', async () => {
  const session = connectHttp2(world.url);
  await once(session, 'remoteSettings');
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/chat',
    ':authority': world.urlOf(8080).host,
    'sec-websocket-version': '13',
  });
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  expect(headers[':status']).toBe(200);
  expect(headers['sec-websocket-accept']).toBeUndefined();
  const [first] = (await once(stream, 'data')) as [Buffer];
  expect(first.toString('latin1')).toContain('host');
  // A masked text frame with "hi". The mask is 0.
  stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
  const [echoed] = (await once(stream, 'data')) as [Buffer];
  expect(echoed.toString('latin1').endsWith('hi')).toBe(true);
  world.router.kill(sandboxId);
  const [error] = (await once(stream, 'error')) as [Error];
  expect(error.message).toContain('INTERNAL_ERROR');
  session.destroy();
});

test('a plain CONNECT over HTTP/2 is rejected', async () => {
  const session = connectHttp2(world.url);
  const stream = session.request({ ':method': 'CONNECT', ':authority': '127.0.0.1:22' });
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  expect(headers[':status']).toBe(400);
  session.destroy();
});
