import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fault } from './fault-proxy.ts';
import { startFaultProxy } from './fault-proxy.ts';

/** Sends back what it gets. */
let echo: Server;
beforeAll(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
});
afterAll(() => void echo.close());

async function open(...faults: Fault[]) {
  const proxy = await startFaultProxy((echo.address() as AddressInfo).port);
  proxy.setFault((count) => faults[count] ?? { kind: 'none' });
  const socket = connect(proxy.port, '127.0.0.1');
  await once(socket, 'connect');
  const seen = { text: '', end: 'none' };
  socket.on('data', (chunk: Buffer) => (seen.text += chunk.toString()));
  socket.on('end', () => (seen.end = 'end'));
  socket.on('error', (error: NodeJS.ErrnoException) => (seen.end = error.code ?? ''));
  return { proxy, socket, seen };
}

async function close(proxy: AsyncDisposable, socket: Socket): Promise<void> {
  socket.destroy();
  await proxy[Symbol.asyncDispose]();
}

test('passes everything on, and the ends of both directions', async () => {
  const { proxy, socket, seen } = await open();
  socket.end('hello');
  await once(socket, 'close');
  expect(seen).toEqual({ text: 'hello', end: 'end' });
  await close(proxy, socket);
});

test.each<[Fault, { text: string; end: string }]>([
  [
    { kind: 'cut', afterBytes: 3, reset: true },
    { text: '', end: 'ECONNRESET' },
  ],
  [
    { kind: 'cut', direction: 'up', afterBytes: 3, reset: true },
    { text: '', end: 'ECONNRESET' },
  ],
  [
    { kind: 'half-close', afterBytes: 3 },
    { text: 'hel', end: 'end' },
  ],
  [
    { kind: 'half-close', direction: 'up', afterBytes: 3 },
    { text: 'hel', end: 'end' },
  ],
  [
    { kind: 'stall', afterBytes: 3 },
    { text: 'hel', end: 'none' },
  ],
  [
    { kind: 'delay', ms: 100 },
    { text: 'hello', end: 'none' },
  ],
])('%o', async (fault, expected) => {
  const { proxy, socket, seen } = await open(fault);
  socket.write('hello');
  await expect.poll(() => seen.end).toBe(expected.end);
  await expect.poll(() => expected.end === 'ECONNRESET' || seen.text === expected.text).toBe(true);
  await sleep(20);
  if (expected.end !== 'ECONNRESET') expect(seen.text).toBe(expected.text);
  await close(proxy, socket);
});

test('cuts all connections on demand, and the next one is faultless', async () => {
  const { proxy, socket, seen } = await open();
  proxy.cutAll();
  await expect.poll(() => seen.end).not.toBe('none');
  const next = connect(proxy.port, '127.0.0.1');
  next.end('again');
  const [chunk] = (await once(next, 'data')) as [Buffer];
  expect(chunk.toString()).toBe('again');
  expect(proxy.accepted).toBe(2);
  await close(proxy, socket);
});
