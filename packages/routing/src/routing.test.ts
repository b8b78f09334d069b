import { closeSync, mkdtempSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { removeTree, silentLogger } from '@soulbox/base';
import { fileSignature } from '@soulbox/contract';
import { RoutingService } from '@soulbox/contract/routing';
import { createDescriptorPair, createDescriptorReceiver } from '@soulbox/process';
import { createSocketTransport, serveSocket } from '@soulbox/rpc';
import { afterEach, beforeEach, expect, test, describe } from 'vitest';
import { connectRouting } from './remote-router.ts';
import type { RemoteRouter } from './remote-router.ts';
import { addRoutingRoutes, createRouteFeed } from './serve-routing.ts';
import { createStandInSource } from './testing/stand-in-source.ts';
import type { StandInSource } from './testing/stand-in-source.ts';

const id = 'i0123456789abcdefghij';
const other = 'iother6789abcdefghij0';
let folder: string;
let pair: [number, number];
let source: StandInSource;
let runner: AsyncDisposable | undefined;
let router: RemoteRouter;

/** Starts a runner that serves `source` on the socket. To its clients it is a new process. */
async function startRunner(): Promise<void> {
  const feed = createRouteFeed(source, silentLogger);
  const routes = (into: Parameters<typeof addRoutingRoutes>[0]): void =>
    addRoutingRoutes(into, { feed, channel: pair[0], logger: silentLogger });
  const doors = [{ name: 'all', admits: () => true, routes }];
  const served = await serveSocket({ path: join(folder, 'runner.sock'), doors, logger: silentLogger });
  runner = {
    async [Symbol.asyncDispose]() {
      feed[Symbol.dispose]();
      await served[Symbol.asyncDispose]();
    },
  };
}
async function stopRunner(): Promise<void> {
  await runner?.[Symbol.asyncDispose]();
  runner = undefined;
}
const connect = (more: { takesConnections?: boolean; metadataKey?: string } = {}): RemoteRouter =>
  connectRouting({
    ...more,
    transport: createSocketTransport(join(folder, 'runner.sock')),
    receiver: createDescriptorReceiver(pair[1]),
    logger: silentLogger,
  });
async function listen(onConnection: (socket: Socket) => void, sandboxId = id): Promise<Server & AsyncDisposable> {
  const server = createServer(onConnection);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  source.ports.set(sandboxId, (server.address() as AddressInfo).port);
  return server;
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'routing-'));
  pair = createDescriptorPair();
  source = createStandInSource();
  source.set(id, { maskRequestHost: 'x:${PORT}' });
  await startRunner();
  router = connect();
  await router.fed;
});
afterEach(async () => {
  router[Symbol.dispose]();
  await stopRunner();
  pair.forEach(closeSync);
  await removeTree(folder);
});

test('the table has the existing routes and follows their changes', async () => {
  expect(router.find(id)).toEqual(source.find(id));
  expect(router.find(other)).toBeUndefined();
  source.set(other, { state: 'paused', autoResume: true });
  source.set(id, { trafficAccessToken: undefined, waitsForRoom: true });
  await expect.poll(() => router.find(other)).toEqual(source.find(other));
  expect(router.find(id)?.waitsForRoom).toBe(true);
  source.remove(id);
  await expect.poll(() => router.find(id)).toBeUndefined();
  expect(router.signatureTokens()).toBe(1);
});

test('a watcher of sandboxes with a metadata key learns of no others, and is as new as the call after a refresh', async () => {
  source.metadataKeys.set(other, ['mine']);
  source.set(other);
  using mine = connect({ metadataKey: 'mine' });
  await mine.fed;
  expect([mine.find(other)?.state, mine.find(id), mine.signatureTokens()]).toEqual(['running', undefined, 1]);
  const gone: string[] = [];
  mine.onGone((sandboxId) => gone.push(sandboxId));
  for (let round = 0; round < 10; round += 1) {
    source.set(`i${round}`);
    source.set(id, { waitsForRoom: round % 2 === 0 });
    source.set(other, { state: round % 2 === 0 ? 'paused' : 'running' });
    const startedAt = performance.now();
    await mine.refresh();
    expect(performance.now() - startedAt).toBeLessThan(2000);
    expect([mine.find(other)?.state, mine.signatureTokens()]).toEqual([round % 2 === 0 ? 'paused' : 'running', 1]);
  }
  await source.cutOff(id);
  await source.cutOff(other);
  source.remove(id);
  source.remove(other);
  await mine.refresh();
  expect([mine.find(other), gone]).toEqual([undefined, [other]]);
});

test('a watcher of some sandboxes is told when any other goes into which it has a connection', async () => {
  await using _server = await listen((socket) => socket.on('error', () => undefined).resume());
  using mine = connect({ metadataKey: 'mine' });
  await mine.fed;
  const connection = await mine.dial(id, 80);
  mine.onGone(() => connection.destroy());
  await source.cutOff(id);
  expect(connection.destroyed).toBe(true);
});

test('sandboxes are found by token and by signature', () => {
  const file = { path: '/a', operation: 'read', username: 'user', expiration: undefined } as const;
  expect(router.findByAccessToken(`token of ${id}`)?.sandboxId).toBe(id);
  expect(router.findByAccessToken('token of nobody')).toBeUndefined();
  expect(router.findBySignature(file, fileSignature(file, `token of ${id}`))?.sandboxId).toBe(id);
  expect(router.findBySignature(file, fileSignature(file, 'another'))).toBeUndefined();
});

test('a refresh returns a table that is at least as new as the call', async () => {
  for (let round = 0; round < 50; round += 1) {
    const sandboxId = `i${round}`;
    source.set(sandboxId);
    await router.refresh();
    expect(router.find(sandboxId)?.state).toBe('running');
    source.set(sandboxId, { state: 'paused' });
    await Promise.all([router.refresh(), router.refresh()]);
    expect(router.find(sandboxId)?.state).toBe('paused');
  }
});

test('a connection is handed over: bytes pass both ways, and so does the end of each side', async () => {
  const received: string[] = [];
  await using _server = await listen((socket) => {
    socket.write('first ');
    socket.on('data', (data) => received.push(String(data)));
    socket.on('end', () => socket.end('last'));
  });
  const connection = await router.dial(id, 80);
  connection.write('asked');
  await expect.poll(() => received).toEqual(['asked']);
  connection.end();
  expect(await text(connection)).toBe('first last');
});

test('a dial throws the error that the runner threw', async () => {
  await expect(router.dial(id, 80)).rejects.toMatchObject({ reason: 'port_closed' });
});

test('no descriptor of a connection that was handed over is left open', async () => {
  await using _server = await listen((socket) => socket.on('end', () => socket.end()).resume());
  const open = (): number => readdirSync('/proc/self/fd').length;
  const use = async (): Promise<void> => {
    const connection = await router.dial(id, 80);
    connection.on('error', () => undefined);
    connection.destroy();
    await once(connection, 'close');
  };
  await use();
  const before = open();
  for (let round = 0; round < 20; round += 1) await Promise.all([use(), use(), use()]);
  await expect.poll(open).toBeLessThanOrEqual(before);
});

test('other processes cut off a sandbox before the runner continues', async () => {
  await using _server = await listen(() => undefined);
  const connection = await router.dial(id, 80);
  const order: string[] = [];
  router.onGone((sandboxId) => {
    order.push(`cut ${sandboxId}`, String(router.find(sandboxId)?.state));
    connection.destroy();
  });
  source.set(id, { state: 'paused' });
  await source.cutOff(id);
  order.push('went on');
  expect(order).toEqual([`cut ${id}`, 'paused', 'went on']);
});

test('the runner does not wait when no watcher has connections into the sandbox', async () => {
  router[Symbol.dispose]();
  const startedAt = performance.now();
  await source.cutOff(id);
  expect(performance.now() - startedAt).toBeLessThan(100);
});

test('a watcher that never confirms delays the end of a sandbox by a second, and no other sandbox', async () => {
  await using _server = await listen((socket) => socket.on('error', () => undefined).resume());
  const stuck = createClient(RoutingService, createSocketTransport(join(folder, 'runner.sock')));
  const leave = new AbortController();
  const routes = stuck.watchRoutes({}, { signal: leave.signal })[Symbol.asyncIterator]();
  const { session } = ((await routes.next()) as { value: { session: string } }).value;
  await stuck.dial({ session, sandboxId: id, port: 80 });
  const timed = async (sandboxId: string): Promise<number> => {
    const startedAt = performance.now();
    await source.cutOff(sandboxId);
    return performance.now() - startedAt;
  };
  const [waited, unrelated] = await Promise.all([timed(id), timed(other)]);
  expect(waited).toBeGreaterThan(900);
  expect(waited).toBeLessThan(3000);
  expect(unrelated).toBeLessThan(500);
  expect((await routes.next()).value).toMatchObject({ gone: [id] });
  leave.abort();
  await expect(routes.next()).rejects.toThrow();
});

describe('a connection that is opened in advance', () => {
  const opened: { sandboxId: string; port: number; connection: Socket }[] = [];
  beforeEach(async () => {
    router[Symbol.dispose]();
    router = connect({ takesConnections: true });
    router.onOpened((sandboxId, port, connection) => void opened.push({ sandboxId, port, connection }));
    await router.fed;
  });
  const listenNew = async (onConnection: (socket: Socket) => void): Promise<AsyncDisposable> => {
    const server = await listen(onConnection, 'inew');
    return {
      async [Symbol.asyncDispose]() {
        for (const { connection } of opened.splice(0)) connection.destroy();
        await server[Symbol.asyncDispose]();
      },
    };
  };

  test('arrives before its sandbox is found, and works', async () => {
    await using _server = await listenNew((socket) => socket.end('hello'));
    source.expect('inew');
    await expect.poll(() => opened).toMatchObject([{ sandboxId: 'inew', port: 49983 }]);
    expect(router.find('inew')).toBeUndefined();
    expect(await text(opened[0]?.connection as Socket)).toBe('hello');
  });

  test('is opened once per sandbox, and not for a sandbox that is already found', async () => {
    await using _server = await listenNew((socket) => socket.resume());
    source.expect('inew');
    source.expect('inew');
    source.set('inew');
    source.set(id, { waitsForRoom: true });
    await router.refresh();
    await wait(50);
    expect(opened).toHaveLength(1);
  });

  test('is closed before its sandbox ends', async () => {
    await using _server = await listenNew((socket) => socket.resume());
    const gone: string[] = [];
    router.onGone((sandboxId) => void gone.push(sandboxId));
    source.expect('inew');
    await expect.poll(() => opened).toHaveLength(1);
    await source.cutOff('inew');
    expect(gone).toEqual(['inew']);
  });

  test('is not handed over if its sandbox ends meanwhile', async () => {
    await using _server = await listenNew((socket) => socket.resume());
    source.expect('inew');
    source.remove('inew');
    await source.cutOff('inew');
    await wait(50);
    expect(opened).toEqual([]);
  });

  test('is harmless if it breaks before it is handed over, and does not delay the end of its sandbox', async () => {
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

  test('is left to the first request if it cannot be opened', async () => {
    source.expect('iclosed');
    await wait(50);
    expect(opened).toEqual([]);
  });

  test('is closed if the runner restarts and no longer knows its sandbox', async () => {
    await using _server = await listenNew((socket) => socket.resume());
    const gone: string[] = [];
    router.onGone((sandboxId) => void gone.push(sandboxId));
    source.expect('inew');
    await expect.poll(() => opened).toHaveLength(1);
    await stopRunner();
    source.remove('inew');
    await startRunner();
    await expect.poll(() => gone).toEqual(['inew']);
  });
});

test('a visit is reported once for a burst of requests, and ends a moment after the last one', async () => {
  const first = router.enter(id);
  const second = router.enter(id);
  await expect.poll(() => source.visits).toEqual([id]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await wait(400);
  expect(source.visits).toEqual([id]);
  second[Symbol.dispose]();
  using third = router.enter(id);
  await wait(400);
  expect(source.visits).toEqual([id]);
  third[Symbol.dispose]();
  await expect.poll(() => source.visits).toEqual([]);
});

test('visits of a sandbox without an idle timeout are not reported', async () => {
  source.set(other, { countsVisits: false });
  await router.refresh();
  using _other = router.enter(other);
  using _visit = router.enter(id);
  await expect.poll(() => source.visits).toEqual([id]);
});

test('the visits of a process end with the process', async () => {
  router.enter(id);
  await expect.poll(() => source.visits).toEqual([id]);
  router[Symbol.dispose]();
  await expect.poll(() => source.visits).toEqual([]);
});

test('the table stays while the runner is away, calls wait for the next runner, and that one learns of open visits', async () => {
  await using _server = await listen((socket) => socket.end('hello'));
  using _visit = router.enter(id);
  await expect.poll(() => source.visits).toEqual([id]);
  await stopRunner();
  expect(router.find(id)?.state).toBe('running');
  const [dialled, woken] = [router.dial(id, 80), router.wake(other)];
  await wait(200);
  source.set(other);
  await startRunner();
  expect(await text(await dialled)).toBe('hello');
  await woken;
  expect(source.woken).toEqual([other]);
  await expect.poll(() => router.find(other)?.state).toBe('running');
  await expect.poll(() => source.visits).toEqual([id]);
});

test('a sandbox that went away unnoticed is reported as gone when the runner is back', async () => {
  const gone: string[] = [];
  router.onGone((sandboxId) => void gone.push(sandboxId));
  source.set(other);
  await router.refresh();
  await stopRunner();
  source.remove(id);
  source.set(other, { state: 'paused' });
  await startRunner();
  await router.refresh();
  expect(gone.sort()).toEqual([id, other].sort());
});

test('a runner that stays away is reported as unavailable', { timeout: 20_000 }, async () => {
  await stopRunner();
  const calls = [router.dial(id, 80), router.wake(id), router.refresh()];
  // Awaited together, because one of them may reject before it is awaited alone.
  const outcomes = await Promise.allSettled(calls);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { reason: 'runner_unavailable' } });
});
