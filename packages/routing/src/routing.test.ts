import { readdirSync } from 'node:fs';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { fileSignature } from '@soulbox/contract';
import { RoutingService } from '@soulbox/contract/routing';
import { createSocketTransport } from '@soulbox/rpc';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RemoteRouter } from './remote-router.ts';
import { id, openRoutingBench } from './testing/routing-bench.ts';
import type { RoutingBench } from './testing/routing-bench.ts';
import type { StandInSource } from './testing/stand-in-source.ts';

const other = 'iother6789abcdefghij0';
let bench: RoutingBench;
let source: StandInSource;
let router: RemoteRouter;

beforeEach(async () => {
  bench = await openRoutingBench();
  ({ source } = bench);
  router = bench.connect();
  await router.fed;
});
afterEach(async () => {
  router[Symbol.dispose]();
  await bench[Symbol.asyncDispose]();
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
  using mine = bench.connect({ metadataKey: 'mine' });
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
  await using _server = await bench.listen((socket) => socket.on('error', () => undefined).resume());
  using mine = bench.connect({ metadataKey: 'mine' });
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
  await using _server = await bench.listen((socket) => {
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
  await using _server = await bench.listen((socket) => socket.on('end', () => socket.end()).resume());
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
  await using _server = await bench.listen(() => undefined);
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
  await using _server = await bench.listen((socket) => socket.on('error', () => undefined).resume());
  const stuck = createClient(RoutingService, createSocketTransport(bench.socket));
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
  await using _server = await bench.listen((socket) => socket.end('hello'));
  using _visit = router.enter(id);
  await expect.poll(() => source.visits).toEqual([id]);
  await bench.stopRunner();
  expect(router.find(id)?.state).toBe('running');
  const [dialled, woken] = [router.dial(id, 80), router.wake(other)];
  await wait(200);
  source.set(other);
  await bench.startRunner();
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
  await bench.stopRunner();
  source.remove(id);
  source.set(other, { state: 'paused' });
  await bench.startRunner();
  await router.refresh();
  expect(gone.sort()).toEqual([id, other].sort());
});

test('a runner that stays away is reported as unavailable', { timeout: 20_000 }, async () => {
  await bench.stopRunner();
  const calls = [router.dial(id, 80), router.wake(id), router.refresh()];
  // Awaited together, because one of them may reject before it is awaited alone.
  const outcomes = await Promise.allSettled(calls);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { reason: 'runner_unavailable' } });
});
