import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { FaultProxy } from '@soulbox/testing/fault-proxy';
import { createHttp1Agent } from './http1-agent.ts';
import { sendRequest } from './send-request.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

/** The server answers after `delayMs`. */
async function openWorld(delayMs = 0): Promise<{ proxy: FaultProxy; origin: URL }> {
  const server = createServer((_request, response) => void setTimeout(() => response.end('fine'), delayMs));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const proxy = stack.use(await startFaultProxy((server.address() as AddressInfo).port));
  return { proxy, origin: new URL(`http://127.0.0.1:${proxy.port}`) };
}

const get = { method: 'GET', path: '/', headers: {}, maxAnswerBytes: 100 };

test('connections are kept for the next request, limited in number, and closed when idle', async () => {
  const { proxy, origin } = await openWorld();
  const agent = createHttp1Agent('http:', { connectionsMax: 2, idleMs: 80 });
  stack.defer(() => agent.destroy());
  const over = { agent, origin };
  const answers = await Promise.all(Array.from({ length: 8 }, async () => await sendRequest({ ...get, over })));
  expect(answers.map(({ body }) => body.toString())).toEqual(Array(8).fill('fine'));
  expect(proxy.accepted).toBeLessThanOrEqual(8);
  await expect.poll(() => proxy.open).toBe(0);
  expect((await sendRequest({ ...get, over })).status).toBe(200);
});

test('a connection in use may be silent for longer than an idle one is kept', async () => {
  const { origin } = await openWorld(300);
  const agent = createHttp1Agent('http:', { idleMs: 50 });
  stack.defer(() => agent.destroy());
  expect((await sendRequest({ ...get, over: { agent, origin } })).body.toString()).toBe('fine');
});
