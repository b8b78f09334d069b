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
/** The sandbox begins to be served, and the connection to its envd is open. */
const announce = async (): Promise<void> => {
  world.router.announce(sandboxId);
  await expect.poll(() => connections.length).toBe(1);
};

test('a sandbox that begins to be served is connected to before the first request, which finds the connection', async () => {
  await announce();
  await delay(20);
  expect((await askEnvd()).body).toBe('ok');
  expect(world.router.dials).toEqual([{ sandboxId, port: envdPort }]);
});

test('a request that comes while the connection is being opened waits for it', async () => {
  world.router.announce(sandboxId);
  world.router.announce(sandboxId);
  expect((await askEnvd()).body).toBe('ok');
  expect(world.router.dials).toHaveLength(1);
});

test('of two requests at once the second has a connection of its own', async () => {
  await announce();
  expect(await Promise.all([askEnvd(), askEnvd()])).toMatchObject([{ body: 'ok' }, { body: 'ok' }]);
  expect(world.router.dials).toHaveLength(2);
});

test('a connection that nobody uses is closed', async () => {
  await announce();
  await once(connections[0] as Socket, 'close');
  expect((await askEnvd()).body).toBe('ok');
  expect(world.router.dials).toHaveLength(2);
});

test('a connection that the sandbox has closed is not used', async () => {
  await announce();
  connections[0]?.destroy();
  await delay(50);
  expect((await askEnvd()).body).toBe('ok');
  expect(world.router.dials).toHaveLength(2);
});

test('a connection that cannot be opened ahead is opened by the request', async () => {
  world.router.add('iother');
  world.router.announce('iother');
  await expect.poll(() => world.router.dials.length).toBeGreaterThan(0);
  await delay(20);
  const { url } = world.urlOf(envdPort);
  expect((await ask(url, { headers: { host: `${envdPort}-iother.x` } })).status).toBe(502);
});

test('a sandbox that goes takes the connection with it', async () => {
  await announce();
  const closed = once(connections[0] as Socket, 'close');
  world.router.kill(sandboxId);
  const startedAt = performance.now();
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(250);
});
