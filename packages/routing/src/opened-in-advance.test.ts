import { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RemoteRouter } from './remote-router.ts';
import { id, openRoutingBench } from './testing/routing-bench.ts';
import type { RoutingBench } from './testing/routing-bench.ts';
import type { StandInSource } from './testing/stand-in-source.ts';

let bench: RoutingBench;
let source: StandInSource;
let router: RemoteRouter;
const opened: { sandboxId: string; port: number; connection: Socket }[] = [];
beforeEach(async () => {
  bench = await openRoutingBench();
  ({ source } = bench);
  router = bench.connect({ takesConnections: true });
  router.onOpened((sandboxId, port, connection) => void opened.push({ sandboxId, port, connection }));
  await router.fed;
});
afterEach(async () => {
  router[Symbol.dispose]();
  await bench[Symbol.asyncDispose]();
});
const listenNew = async (onConnection: (socket: Socket) => void): Promise<AsyncDisposable> => {
  const server = await bench.listen(onConnection, 'inew');
  return {
    async [Symbol.asyncDispose]() {
      for (const { connection } of opened.splice(0)) connection.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
};

test('a connection that is opened in advance arrives before its sandbox is found, and works', async () => {
  await using _server = await listenNew((socket) => socket.end('hello'));
  source.expect('inew');
  await expect.poll(() => opened).toMatchObject([{ sandboxId: 'inew', port: 49983 }]);
  expect(router.find('inew')).toBeUndefined();
  expect(await text(opened[0]?.connection as Socket)).toBe('hello');
});

test('a connection is opened in advance once per sandbox, and not for a sandbox that is already found', async () => {
  await using _server = await listenNew((socket) => socket.resume());
  source.expect('inew');
  source.expect('inew');
  source.set('inew');
  source.set(id, { waitsForRoom: true });
  await router.refresh();
  await wait(50);
  expect(opened).toHaveLength(1);
});

test('a connection that is opened in advance is closed before its sandbox ends', async () => {
  await using _server = await listenNew((socket) => socket.resume());
  const gone: string[] = [];
  router.onGone((sandboxId) => void gone.push(sandboxId));
  source.expect('inew');
  await expect.poll(() => opened).toHaveLength(1);
  await source.cutOff('inew');
  expect(gone).toEqual(['inew']);
});

test('a connection that is opened in advance is not handed over if its sandbox ends meanwhile', async () => {
  await using _server = await listenNew((socket) => socket.resume());
  source.expect('inew');
  source.remove('inew');
  await source.cutOff('inew');
  await wait(50);
  expect(opened).toEqual([]);
});

test('a connection that is opened in advance is harmless if it breaks before it is handed over, and does not delay the end of its sandbox', async () => {
  const broken = new Socket();
  broken.destroy();
  Object.assign(source, { dial: async () => await Promise.resolve(broken) });
  source.expect('inew');
  await wait(50);
  expect(opened).toEqual([]);
  const startedAt = performance.now();
  await source.cutOff('inew');
  expect(performance.now() - startedAt).toBeLessThan(500);
});

test('a connection that is opened in advance is left to the first request if it cannot be opened', async () => {
  source.expect('iclosed');
  await wait(50);
  expect(opened).toEqual([]);
});

test('a connection that is opened in advance is closed if the runner restarts and no longer knows its sandbox', async () => {
  await using _server = await listenNew((socket) => socket.resume());
  const gone: string[] = [];
  router.onGone((sandboxId) => void gone.push(sandboxId));
  source.expect('inew');
  await expect.poll(() => opened).toHaveLength(1);
  await bench.stopRunner();
  source.remove('inew');
  await bench.startRunner();
  await expect.poll(() => gone).toEqual(['inew']);
});
