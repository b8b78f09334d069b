import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { Http2Server, ServerHttp2Session, ServerHttp2Stream, Settings } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { startFaultProxy } from '@soulbox/testing/fault-proxy';
import type { FaultProxy } from '@soulbox/testing/fault-proxy';
import { createEvents } from '../core/events.ts';
import type { ClientEvent } from '../core/events.ts';
import { createHttp2Pool } from './http2-pool.ts';
import type { Http2Pool, Http2PoolOptions } from './http2-pool.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

interface World {
  readonly pool: Http2Pool;
  readonly proxy: FaultProxy;
  readonly server: Http2Server;
  readonly sessions: ServerHttp2Session[];
  readonly streams: ServerHttp2Stream[];
  readonly events: ClientEvent[];
}

/** The server answers a stream when the test says so. */
async function openWorld(options: Partial<Http2PoolOptions> = {}, settings: Settings = {}): Promise<World> {
  const server = createServer({ settings });
  const sessions: ServerHttp2Session[] = [];
  const streams: ServerHttp2Stream[] = [];
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => undefined);
  });
  server.on('stream', (stream) => {
    streams.push(stream);
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    stream.write('begun');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const proxy = stack.use(await startFaultProxy((server.address() as AddressInfo).port));
  const events = createEvents();
  const seen: ClientEvent[] = [];
  events.on((event) => seen.push(event));
  const pool = createHttp2Pool({ authority: `http://127.0.0.1:${proxy.port}`, events, ...options });
  stack.defer(() => pool.close());
  return { pool, proxy, server, sessions, streams, events: seen };
}

async function begin({ pool }: Pick<World, 'pool'>, signal?: AbortSignal) {
  const stream = await pool.request('GET', '/', {}, { endStream: true, ...(signal === undefined ? {} : { signal }) });
  stream.on('error', () => undefined);
  if (stream.pending) await once(stream, 'ready');
  stream.resume();
  return stream;
}

const types = ({ events }: World): string[] => events.map(({ type }) => type);

test('calls share a connection up to the streams that the server allows, then another is opened', async () => {
  const world = await openWorld({ connectionsMax: 2 }, { maxConcurrentStreams: 3 });
  const streams = await Promise.all(Array.from({ length: 6 }, async () => await begin(world)));
  expect(world.pool.connections).toBe(2);
  await expect.poll(() => world.streams.length).toBe(6);
  const served = world.sessions.map((session) => world.streams.filter((stream) => stream.session === session).length);
  expect(served).toEqual([3, 3]);
  const waits = [begin(world), begin(world)];
  await expect.poll(() => types(world).filter((type) => type === 'wait').length).toBeGreaterThanOrEqual(2);
  expect(world.pool.streams).toBe(6);
  streams[0]?.close();
  await waits[0];
  streams[1]?.close();
  await waits[1];
  expect(world.pool.connections).toBe(2);
});

test('a stream that waits is served in order, and given up in time or by an abort', async () => {
  const waiting = { waitingMax: 2, waitMs: 150 };
  const world = await openWorld({ connectionsMax: 1, streamsMax: 1, waiting });
  const first = await begin(world);
  const abort = new AbortController();
  const gone = begin(world, abort.signal);
  const next = begin(world);
  await expect(begin(world)).rejects.toMatchObject({ reason: 'pool_full', retryable: true });
  abort.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  const late = begin(world);
  first.close();
  const second = await next;
  await expect(late).rejects.toMatchObject({ reason: 'pool_timeout', retryable: true });
  second.close();
  await expect.poll(() => world.pool.streams).toBe(0);
});

test('a connection that does not answer a ping is dead: its streams fail, and the next call gets a new one', async () => {
  const world = await openWorld({ keepAlive: { pingIntervalMs: 60, pingTimeoutMs: 80 } });
  const stream = await begin(world);
  const failed = once(stream, 'error');
  world.proxy.stallAll();
  const [error] = (await failed) as [Error & { code: string }];
  expect(error.code).toBe('ETIMEDOUT');
  await expect.poll(() => types(world)).toEqual(['wait', 'connect', 'dead']);
  expect(await begin(world)).toBeDefined();
  expect(world.sessions).toHaveLength(2);
});

test('a connection that answers pings lives on, with or without streams', async () => {
  const world = await openWorld({ keepAlive: { pingIntervalMs: 20, pingTimeoutMs: 200 } });
  await begin(world);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(types(world)).toEqual(['wait', 'connect']);
});

test('after a long silence a connection is in doubt: it is pinged, and calls use another meanwhile', async () => {
  const world = await openWorld({ keepAlive: { pingIntervalMs: 100_000, pingTimeoutMs: 100 } });
  (await begin(world)).close();
  await expect.poll(() => world.pool.streams).toBe(0);
  world.proxy.stallAll();
  const now = performance.now.bind(performance);
  performance.now = () => now() + 200_000;
  try {
    await begin(world);
  } finally {
    performance.now = now;
  }
  await expect.poll(() => types(world)).toEqual(['wait', 'connect', 'wait', 'connect', 'dead']);
});

test('a connection without streams is closed after its time', async () => {
  const world = await openWorld({ keepAlive: { idleMs: 50 } });
  const stream = await begin(world);
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(world.pool.connections).toBe(1);
  stream.close();
  await expect.poll(() => world.pool.connections).toBe(0);
  expect(world.events.at(-1)).toMatchObject({ type: 'close', why: 'idle' });
});

test('a connection that the server is leaving gets no new streams, and its own ones end in peace', async () => {
  const world = await openWorld({ connectionsMax: 1 });
  const old = await begin(world);
  await expect.poll(() => world.streams.length).toBe(1);
  world.sessions[0]?.goaway();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await begin(world);
  expect(world.sessions).toHaveLength(2);
  const ended = once(old, 'close');
  world.streams[0]?.end();
  await ended;
  expect(old.rstCode).toBe(0);
  await expect.poll(() => world.events.at(-1)).toMatchObject({ type: 'close', why: 'drained' });
});

test.each([
  ['accepts and never answers', { kind: 'silence' }, 'ECONNRESET'],
  ['cuts', { kind: 'cut', afterBytes: 0, reset: true }, 'ECONNRESET'],
  ['answers with HTTP/1.1', { kind: 'answer', text: 'HTTP/1.1 502 Bad Gateway\r\n\r\n' }, 'ERR_HTTP2_ERROR'],
] as const)('a server that %s: calls fail in time, marked as not sent', async (_, fault, code) => {
  const world = await openWorld({ keepAlive: { connectTimeoutMs: 150 } });
  world.proxy.setFault(fault);
  await expect(Promise.all([begin(world), begin(world)])).rejects.toMatchObject({ code, syscall: 'connect' });
  expect(world.pool.connections).toBe(0);
  world.proxy.setFault({ kind: 'none' });
  expect(await begin(world)).toBeDefined();
});

test('no server: the error is that of the network', async () => {
  const world = await openWorld();
  await world.proxy[Symbol.asyncDispose]();
  await expect(begin(world)).rejects.toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' });
});

test('after closing, streams end, and calls fail', async () => {
  const world = await openWorld({ connectionsMax: 1, streamsMax: 1 });
  const stream = await begin(world);
  const ended = once(stream, 'close');
  const waits = begin(world);
  world.pool.close();
  await ended;
  await expect(waits).rejects.toMatchObject({ reason: 'pool_closed' });
  await expect(begin(world)).rejects.toMatchObject({ reason: 'pool_closed' });
  await expect.poll(() => world.pool.connections).toBe(0);
});
