import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ask } from '../testing/http-client.ts';
import { sandboxId, startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

const envdPort = 49983;
let world: TestWorld;
let connections: Socket[];

beforeEach(async () => {
  world = await startTestWorld({ config: { poolIdleTimeoutMs: 300 } });
  connections = [];
  const server = createServer((socket) => {
    connections.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  });
  await world.serveNet(envdPort, server);
});
afterEach(async () => await world[Symbol.asyncDispose]());

const askEnvd = async () => {
  const { url, host } = world.urlOf(envdPort);
  return await ask(url, { headers: { host } });
};
const openAhead = async (): Promise<void> => {
  await world.router.openAhead(sandboxId, envdPort);
  await expect.poll(() => connections.length).toBe(1);
};

test('the first request uses a connection that was opened in advance', async () => {
  await openAhead();
  await delay(20);
  expect((await askEnvd()).body).toBe('ok');
  expect(world.router.dials).toEqual([{ sandboxId, port: envdPort }]);
  expect(connections).toHaveLength(1);
});

test('if two connections were opened in advance, one is closed', async () => {
  await openAhead();
  await world.router.openAhead(sandboxId, envdPort);
  await expect.poll(() => connections.filter(({ destroyed }) => destroyed).length).toBe(1);
  expect((await askEnvd()).body).toBe('ok');
});

test('the second of two concurrent requests opens its own connection', async () => {
  await openAhead();
  expect(await Promise.all([askEnvd(), askEnvd()])).toMatchObject([{ body: 'ok' }, { body: 'ok' }]);
  expect(world.router.dials).toHaveLength(2);
});

test('an unused connection is closed', async () => {
  await openAhead();
  await once(connections[0] as Socket, 'close');
  expect((await askEnvd()).body).toBe('ok');
  expect(world.router.dials).toHaveLength(2);
});

test('a connection that the sandbox has closed is not used', async () => {
  await openAhead();
  connections[0]?.destroy();
  await delay(50);
  expect((await askEnvd()).body).toBe('ok');
  expect(world.router.dials).toHaveLength(2);
});

test('the connection is closed when its sandbox goes away', async () => {
  await openAhead();
  const closed = once(connections[0] as Socket, 'close');
  world.router.kill(sandboxId);
  const startedAt = performance.now();
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(250);
});
