import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLoopbackLab } from '../testing/loopback-lab.ts';
import type { LoopbackLab } from '../testing/loopback-lab.ts';

const mib = 2 ** 20;
const connections = 12;

let lab: LoopbackLab;
let echo: number;
beforeAll(async () => {
  lab = await openLoopbackLab();
  echo = await lab.serve((socket) => socket.pipe(socket));
});
afterAll(async () => await lab[Symbol.asyncDispose]());

/** Bytes that differ at each place and for each connection. */
function patternOf(seed: number, bytes: number): Buffer {
  const words = new Uint32Array(bytes / 4);
  for (let at = 0; at < words.length; at += 1) words[at] = Math.imul(at + 1, 2_654_435_761) ^ Math.imul(seed, 40_503);
  return Buffer.from(words.buffer);
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const closed = async (socket: Socket): Promise<void> => await new Promise((done) => socket.once('close', () => done()));

async function collect(socket: Socket, pauseMs: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => {
    parts.push(part);
    if (pauseMs === 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), pauseMs);
  });
  await once(socket, 'end');
  return Buffer.concat(parts);
}

test('connections that move many bytes at the same time keep them apart, whether their peers read fast or slowly', async () => {
  const from = '127.12.0.1';
  await lab.setPolicy(from, { limits: { connections: 100 } });
  const differing = await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const sent = patternOf(index, 6 * mib);
      const socket = lab.connect(from, `127.50.0.1:${echo}`);
      const received = collect(socket, index % 2 === 0 ? 0 : 2);
      socket.end(sent);
      return digest(await received) === digest(sent) ? [] : [index];
    }),
  );
  expect(differing.flat()).toEqual([]);
});

test('a policy with a byte limit ends a fast connection after little more than that', async () => {
  const from = '127.12.0.3';
  const limit = 3 * mib;
  await lab.setPolicy(from, { limits: { bytes: BigInt(limit) } });
  let arrived = 0;
  const sink = await lab.serve((socket) => void socket.on('data', (part: Buffer) => (arrived += part.length)));
  const socket = lab.connect(from, `127.50.0.1:${sink}`);
  socket.write(Buffer.alloc(24 * mib));
  await closed(socket);
  const record = await lab.record(({ sandboxId }) => sandboxId === `sb-${from}`);
  expect(record.reason).toBe('byte_limit');
  expect(record.bytesSent).toBeLessThanOrEqual(limit + 64 * 1024);
  expect(arrived).toBeLessThanOrEqual(limit + 64 * 1024);
});

test('a policy that changes ends a fast connection within 250 ms', async () => {
  const from = '127.12.0.4';
  await lab.setPolicy(from, { limits: { connections: 100 } });
  const sink = await lab.serve((socket) => void socket.resume());
  const socket = lab.connect(from, `127.50.0.1:${sink}`);
  const block = Buffer.alloc(mib);
  const fill = (): void => {
    while (!socket.destroyed && socket.write(block));
  };
  socket.on('drain', fill);
  fill();
  await sleep(200);
  expect(socket.destroyed).toBe(false);
  const started = performance.now();
  await Promise.all([closed(socket), lab.setPolicy(from, { denyOut: ['0.0.0.0/0'] })]);
  expect(performance.now() - started).toBeLessThan(250);
});
