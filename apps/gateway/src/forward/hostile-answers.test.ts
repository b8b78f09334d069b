import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askRaw } from '../testing/http-client.ts';
import { startGatewayProcess } from '../testing/start-gateway-process.ts';
import type { GatewayProcess } from '../testing/start-gateway-process.ts';
import { sandboxId } from '../testing/test-world.ts';

/** How much the gateway's memory may grow during an attack, because garbage collection takes time. MiB. */
const growthMax = 96;
const attackMs = 2500;

/**
 * The data that the ports of the hostile sandbox send: `head` once, then `endless` repeatedly as long as it is read.
 */
const scripts = {
  1001: { head: '', endless: 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n' },
  1002: { head: '', endless: 'HTTP/1.1 100 Continue\r\n\r\n' },
  1003: { head: '', endless: 'HTTP/1.1 102 Processing\r\n\r\n' },
  1004: {
    head: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n',
    endless: 'X-T: aaaaaaaaaa\r\n',
  },
  1005: { head: 'HTTP/1.1 200 OK\r\n', endless: 'X-H: aaaaaaaaaa\r\n' },
  1006: { head: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;', endless: 'extension' },
  1007: { head: 'HTTP/1.1 103 Early Hints\r\n', endless: `Link: ${'a'.repeat(100)}\r\n` },
  1008: {
    head: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    endless: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na',
  },
  1009: { head: 'HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n', endless: 'endless'.repeat(10) },
} as const;

let gateway: GatewayProcess;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  const ports: Record<number, number> = {};
  for (const [port, script] of Object.entries(scripts)) {
    ports[Number(port)] = await serve(createServer((socket) => answerEndlessly(socket, script)));
  }
  const http2 = createHttp2Server();
  http2.on('stream', (stream) => {
    stream.on('error', () => undefined);
    const send = (): void => {
      for (let n = 0; n < 100 && !stream.destroyed; n++) stream.additionalHeaders({ ':status': 103, link: '<a>' });
      if (!stream.destroyed) setImmediate(send);
    };
    send();
  });
  ports[2001] = await serve(http2);
  gateway = await startGatewayProcess({ ports });
  cleanup.use(gateway);
  // The first request of each protocol loads code.
  await askRaw(gateway.port, requestTo(1008), 300);
});
afterAll(async () => await cleanup.disposeAsync());

async function serve(server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanup.defer(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function answerEndlessly(socket: Socket, script: { head: string; endless: string }): void {
  socket.on('error', () => undefined);
  const piece = Buffer.from(script.endless.repeat(Math.ceil(65_536 / script.endless.length)));
  const send = (): void => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.once('data', () => {
    socket.write(script.head);
    socket.on('drain', send);
    send();
  });
}

const requestTo = (port: number, more = ''): string =>
  `GET / HTTP/1.1\r\nHost: ${port}-${sandboxId}.soulbox.localhost\r\n${more}\r\n`;

/** The maximum growth of the gateway, in MiB, while `sockets` attacked it. */
async function growthUnder(sockets: readonly Socket[]): Promise<number> {
  const before = gateway.memoryMib();
  let most = 0;
  const giveUpAt = Date.now() + attackMs;
  while (Date.now() < giveUpAt) {
    await sleep(50);
    most = Math.max(most, gateway.memoryMib() - before);
    if (most > 4 * growthMax) break;
  }
  for (const socket of sockets) socket.destroy();
  return most;
}

test('endless answers to clients that read nothing cost bounded memory', async () => {
  const kinds = ['', 'Expect: 100-continue\r\nContent-Length: 1\r\n', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'];
  const requests = Object.keys(scripts).flatMap((port) => kinds.map((kind) => requestTo(Number(port), kind)));
  const sockets = requests.map((request) => {
    const socket = connect({ host: '127.0.0.1', port: gateway.port }).pause();
    socket.on('error', () => undefined).write(request);
    return socket;
  });
  expect(await growthUnder(sockets)).toBeLessThan(growthMax);
});

test.each([1001, 1002, 1003, 1005, 1007])(
  'a port that never sends its final answer is reported to the client: %i',
  async (port) => {
    const answer = await askRaw(gateway.port, requestTo(port, 'Connection: close\r\n'), 5000);
    expect(answer).toMatch(/HTTP\/1.1 502 /);
    const interim = answer.match(/HTTP\/1.1 1\d\d /g) ?? [];
    expect(interim.length).toBeLessThanOrEqual(32);
  },
);

test('a client that waits for 100 receives one, however many its port sends', async () => {
  const request = requestTo(1002, 'Expect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n');
  expect((await askRaw(gateway.port, request, 5000)).match(/100 Continue/g)).toHaveLength(1);
});

async function openSession(): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://127.0.0.1:${gateway.port}`);
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

test.each([
  [1001, 'text/plain'],
  [2001, 'application/grpc'],
])('endless interim answers end an HTTP/2 stream: %i', async (port, type) => {
  const session = await openSession();
  const before = gateway.memoryMib();
  const authority = `${port}-${sandboxId}.soulbox.localhost`;
  const stream = session.request({ ':authority': authority, ':path': '/', 'content-type': type });
  let interim = 0;
  stream.on('headers', () => interim++);
  const [answer] = (await once(stream, 'response', { signal: AbortSignal.timeout(5000) })) as [{ ':status': number }];
  expect(answer[':status']).toBe(502);
  expect(interim).toBeLessThanOrEqual(32);
  await sleep(500);
  expect(gateway.memoryMib() - before).toBeLessThan(growthMax);
  session.destroy();
});

test('a kept connection that continues to send is closed', async () => {
  const before = gateway.descriptors();
  for (let n = 0; n < 5; n++) await askRaw(gateway.port, requestTo(1008, 'Connection: close\r\n'), 500);
  await expect.poll(() => gateway.descriptors(), { timeout: 2000 }).toBeLessThanOrEqual(before);
});
