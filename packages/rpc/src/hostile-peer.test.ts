// A peer that has passed the door and does not keep to the protocol: a gateway that a stranger has taken over.
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@connectrpc/connect';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { RunnerService } from '@soulbox/contract/runner';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFrameReader, encodeCall, encodeFrame, frameKind } from './frame.ts';
import type { Frame } from './frame.ts';
import { maxCallsPerConnection } from './limits.ts';
import { pathOf } from './method-table.ts';
import { serveSocket } from './serve-socket.ts';
import { createSocketTransport } from './socket-transport.ts';
import { settled } from './testing/settled.ts';

let folder: string;
let path: string;
let server: AsyncDisposable;
let listed = 0;
const bounds = { maxConnections: 8, partialMaxBytes: 1000 };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rpc-'));
  path = join(folder, 'a.sock');
  listed = 0;
  const service = {
    getPool: () => ({ ready: 1 }),
    getHostDisk: async (): Promise<object> => await new Promise(() => undefined),
    listSandboxes: () => {
      listed++;
      return { sandboxes: [{ metadata: { a: 'x'.repeat(2 ** 20) } }] };
    },
  };
  const routes: Parameters<typeof serveSocket>[0]['doors'][0]['routes'] = (router) =>
    router.service(RunnerService, service);
  server = await serveSocket({
    path,
    doors: [{ name: 'test', admits: () => true, routes, ...bounds }],
    logger: silentLogger,
  });
});
afterEach(async () => {
  // Another peer is served as if nothing had happened.
  const other = createClient(RunnerService, createSocketTransport(path));
  expect((await other.getPool({})).ready).toBe(1);
  await server[Symbol.asyncDispose]();
  await removeTree(folder);
});

const pool = pathOf(RunnerService.method.getPool);
const callOf = (id: number, name = pool, message: Uint8Array = Buffer.alloc(0)): Buffer =>
  encodeCall(id, { path: name, timeoutMs: undefined, message });

interface Peer extends Disposable {
  readonly socket: Socket;
  readonly frames: Frame[];
}

async function open(): Promise<Peer> {
  const socket = connect(path);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const frames: Frame[] = [];
  const reader = createFrameReader((frame) => frames.push(frame));
  socket.on('data', (chunk: Buffer) => reader.push(chunk));
  return { socket, frames, [Symbol.dispose]: () => void socket.destroy() };
}

async function framesAfter(...sent: readonly Buffer[]): Promise<Frame[]> {
  using peer = await open();
  peer.socket.write(Buffer.concat(sent));
  for (let tries = 0; tries < 100 && peer.frames.length === 0; tries++) await sleep(10);
  return peer.frames;
}

const oversized = Buffer.alloc(4);
oversized.writeUInt32LE(2 ** 31);

test.each([
  { what: 'random bytes', bytes: Buffer.from('GET / HTTP/1.1\r\nhost: runner\r\n\r\n') },
  { what: 'a frame of 2 GiB', bytes: oversized },
  { what: 'a frame of an unknown kind', bytes: encodeFrame(99, 1) },
  { what: 'an answer', bytes: encodeFrame(frameKind.answer, 1) },
  { what: 'a call without a path', bytes: encodeFrame(frameKind.call, 1, Buffer.alloc(2)) },
  {
    what: 'two calls of one number',
    bytes: Buffer.concat([callOf(1, pathOf(RunnerService.method.getHostDisk)), callOf(1)]),
  },
])('a peer that sends $what is disconnected', async ({ bytes }) => {
  using peer = await open();
  const closed = once(peer.socket, 'close', { signal: AbortSignal.timeout(5000) });
  peer.socket.write(bytes);
  await closed;
});

test.each([
  { what: 'an unknown method', bytes: callOf(1, '/soulbox.runner.v1.RunnerService/Nothing'), code: 'unimplemented' },
  { what: 'the name of an own property', bytes: callOf(1, '__proto__'), code: 'unimplemented' },
  { what: 'a message that is none', bytes: callOf(1, pool, Buffer.from([0xff, 0xff])), code: 'invalid_argument' },
])('a call of $what fails alone', async ({ bytes, code }) => {
  const [frame] = await framesAfter(bytes);
  expect(frame?.kind).toBe(frameKind.error);
  expect(JSON.parse(Buffer.from(frame?.payload ?? []).toString())).toMatchObject({ error: { code } });
});

test('canceling a call that does not exist does nothing', async () => {
  const [frame] = await framesAfter(encodeFrame(frameKind.cancel, 7), callOf(8));
  expect(frame).toMatchObject({ kind: frameKind.answer, call: 8 });
});

test('calls beyond the limit of a connection fail', async () => {
  const name = pathOf(RunnerService.method.getHostDisk);
  const calls = Array.from({ length: maxCallsPerConnection + 1 }, (_, index) => callOf(index, name));
  const frames = await framesAfter(...calls);
  expect(frames.map(({ kind, call }) => ({ kind, call }))).toEqual([
    { kind: frameKind.error, call: maxCallsPerConnection },
  ]);
});

test('a peer that does not read its answers gets no further calls handled', async () => {
  using peer = await open();
  peer.socket.pause();
  const name = pathOf(RunnerService.method.listSandboxes);
  for (let index = 0; index < 3000; index++) peer.socket.write(callOf(index, name));
  const handled = await settled(() => listed);
  expect(handled).toBeGreaterThan(0);
  // One chunk of the socket holds this many calls at most; each answer has 1 MiB.
  expect(handled).toBeLessThan(1200);
});

async function isClosed({ socket }: Peer): Promise<boolean> {
  for (let tries = 0; tries < 50 && !socket.destroyed; tries++) await sleep(10);
  return socket.destroyed;
}

test('connections beyond the limit of a door are closed, and a place is free when another one closes', async () => {
  const peers = await Promise.all(Array.from({ length: bounds.maxConnections }, open));
  expect(await isClosed(await open())).toBe(true);
  expect(peers.map(({ socket }) => socket.destroyed)).toEqual(peers.map(() => false));
  for (const peer of peers) peer.socket.destroy();
  await expect.poll(async () => (await framesAfter(callOf(1))).length, { timeout: 5000 }).toBe(1);
});

test('incomplete frames of all connections together have a limit', async () => {
  const incomplete = encodeFrame(frameKind.call, 1, Buffer.alloc(2000)).subarray(0, 600);
  using one = await open();
  using other = await open();
  one.socket.write(incomplete);
  await sleep(100);
  other.socket.write(incomplete);
  expect(await isClosed(other)).toBe(true);
  expect(one.socket.destroyed).toBe(false);
});
