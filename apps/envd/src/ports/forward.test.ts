import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { forwardAnswers } from '@soulbox/contract';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { createEmptyRoot } from '../testing/test-root.ts';

const stack = new AsyncDisposableStack();
let envd: TestEnvd;
let forwardPort: number;

beforeAll(async () => {
  const root = await createEmptyRoot();
  stack.defer(root.remove);
  const free = await listen('127.0.0.1', () => undefined);
  forwardPort = portOf(free);
  free.close();
  envd = stack.use(await startEnvd(root.path, 'ENVD_OWN_KERNEL=1', `SOULBOX_ENVD_FORWARD_PORT=${forwardPort}`));
});

afterAll(async () => {
  await stack.disposeAsync();
});

async function listen(host: string, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, onSocket);
  server.listen(0, host);
  await once(server, 'listening');
  stack.defer(() => void server.close());
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

async function dial(line: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: forwardPort, allowHalfOpen: true });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(line);
  return socket;
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // A reset that nothing else waits for also counts as an end here.
  await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  socket.destroy();
  return Buffer.concat(chunks).toString();
}

test.each(['127.0.0.1', '::1'])(
  'bytes pass in both directions to a service on %s, and each end is passed on',
  async (host) => {
    const server = await listen(host, (socket) => {
      void (async () => {
        let text = '';
        for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString();
        // Sent after the end of the received data.
        socket.end(`got ${text}`);
      })();
    });
    const socket = await dial(`${portOf(server)} ${envd.hostToken}\nfirst `);
    socket.end('last');
    expect(await readAll(socket)).toBe(`${forwardAnswers.open}got first last`);
  },
);

test('a port without a listener is closed', async () => {
  const server = await listen('127.0.0.1', () => undefined);
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  expect(await readAll(await dial(`${port} ${envd.hostToken}\n`))).toBe(forwardAnswers.closed);
});

test.each([
  ['a wrong token', (port: number) => `${port} ${'x'.repeat(32)}\n`],
  ['no token', (port: number) => `${port}\n`],
  ['no number', () => `x ${envd.hostToken}\n`],
  ['a number that is no port', () => `70000 ${envd.hostToken}\n`],
  ['a line without an end', () => 'x'.repeat(10_000)],
  ['a request of HTTP', () => 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'],
])('%s gets no connection and no answer', async (_, line) => {
  let connections = 0;
  const server = await listen('127.0.0.1', (socket) => {
    connections += 1;
    socket.destroy();
  });
  expect(await readAll(await dial(line(portOf(server))))).toBe('');
  expect(connections).toBe(0);
});

test('a silent connection is closed', async () => {
  const socket = await dial('');
  const startedAt = performance.now();
  expect(await readAll(socket)).toBe('');
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

test('a client that does not read slows the service down', async () => {
  let written = 0;
  const server = await listen('127.0.0.1', (socket) => {
    socket.on('error', () => undefined);
    const block = Buffer.alloc(65_536);
    const write = (): void => {
      if (written > 2 ** 30) socket.end();
      else if (socket.write(block)) setImmediate(write);
      written += block.length;
    };
    socket.on('drain', write);
    write();
  });
  const socket = await dial(`${portOf(server)} ${envd.hostToken}\n`);
  await sleep(1_500);
  const stoppedAt = written;
  expect(stoppedAt).toBeLessThan(64 * 2 ** 20);
  await sleep(500);
  expect(written).toBe(stoppedAt);
  let received = 0;
  socket.on('data', (chunk: Buffer) => (received += chunk.length));
  await once(socket, 'end');
  expect(received).toBeGreaterThan(2 ** 30);
  socket.destroy();
});

test('a service whose connection breaks is not reported as a normal end', async () => {
  const server = await listen('127.0.0.1', (socket) => {
    socket.write('half');
    setTimeout(() => socket.resetAndDestroy(), 200);
  });
  const socket = await dial(`${portOf(server)} ${envd.hostToken}\n`);
  const failed = once(socket, 'error');
  socket.resume();
  expect(await Promise.race([failed.then(() => 'broken'), once(socket, 'end').then(() => 'end')])).toBe('broken');
});
