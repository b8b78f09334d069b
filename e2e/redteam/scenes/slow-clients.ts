import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverDescriptors, serverMemoryMib } from '@soulbox/testing';
import { Breach } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { openSocket, sendRaw, toPort } from './raw.ts';

const growthMib = 200;

/** Opens sockets that misbehave for `seconds`, and asks the neighbor meanwhile. */
async function hold(world: World, count: number, seconds: number, begin: (socket: Socket) => void): Promise<string> {
  const { target, neighbor } = world;
  const before = serverMemoryMib(target.pid);
  const filesBefore = serverDescriptors(target.pid);
  const sockets = await Promise.all(Array.from({ length: count }, async () => await openSocket(target.port)));
  try {
    for (const socket of sockets) begin(socket);
    let slowestMs = 0;
    const endAt = Date.now() + seconds * 1000;
    do {
      const askedAt = performance.now();
      const harm = await neighbor.findHarm();
      if (harm.length > 0) throw new Breach(harm.join('; '));
      slowestMs = Math.max(slowestMs, performance.now() - askedAt);
      await sleep(200);
    } while (Date.now() < endAt);
    const growth = Math.round(serverMemoryMib(target.pid) - before);
    if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
    const cut = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length;
    for (const socket of sockets) socket.destroy();
    const giveUpAt = Date.now() + 10_000;
    while (serverDescriptors(target.pid) > filesBefore + 50 && Date.now() < giveUpAt) await sleep(100);
    if (serverDescriptors(target.pid) > filesBefore + 50) throw new Breach('descriptors are left open');
    return `${cut} of ${count} were cut off, the neighbor answered within ${Math.round(slowestMs)} ms, the server grew by ${growth} MiB`;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

const drip = (socket: Socket, start: string, part: string): void => {
  socket.resume();
  socket.write(start);
  const timer = setInterval(() => socket.write(part), 500);
  socket.once('close', () => clearInterval(timer));
};

const toApi = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

async function readNothing(world: World): Promise<string> {
  const { attacker, attackerToken, target } = world;
  await attacker.commands.run('head -c 300000000 /dev/zero > /home/user/large');
  const routing = Object.entries({ ...toPort(attacker.sandboxId, 49983), 'X-Access-Token': attackerToken });
  const head = [
    'GET /files?path=large HTTP/1.1',
    'Host: localhost',
    ...routing.map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ];
  try {
    return await hold(world, 30, 4, (socket) => void socket.pause().write(head.join('\r\n')));
  } finally {
    await attacker.files.remove('/home/user/large');
    if (target.port === 0) throw new Error('no port');
  }
}

async function sendTooMuch(world: World, bytes: string): Promise<string> {
  const before = serverMemoryMib(world.target.pid);
  const answer = await sendRaw(world.target.port, bytes, 500);
  const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 'none';
  if (!['none', '400', '401', '404', '413', '414', '431'].includes(status)) throw new Breach(`it returns ${status}`);
  const growth = Math.round(serverMemoryMib(world.target.pid) - before);
  if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
  return `the answer is ${status}, and the server grew by ${growth} MiB`;
}

const floods = { kind: 'scene', wall: 'floods', by: ['outside'] } as const;

export const slowClients: readonly Scene[] = [
  {
    ...floods,
    pace: 'long',
    name: 'sends 200 heads byte by byte (slow loris)',
    run: async (world) => await hold(world, 200, 25, (socket) => drip(socket, 'GET / HTTP/1.1\r\nX: ', 'x')),
  },
  {
    ...floods,
    pace: 'long',
    name: 'sends 100 bodies byte by byte',
    run: async (world) =>
      await hold(world, 100, 10, (socket) =>
        drip(
          socket,
          `POST /v2/sandboxes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${world.target.apiKey}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
          ' ',
        ),
      ),
  },
  {
    ...floods,
    pace: 'quick',
    name: 'opens 1,000 connections and says nothing',
    run: async (world) => await hold(world, 1000, 1, () => undefined),
  },
  { ...floods, pace: 'long', name: 'asks for large answers and reads nothing', run: readNothing },
  {
    ...floods,
    pace: 'quick',
    name: 'pipelines requests and reads nothing',
    run: async (world) =>
      await hold(world, 50, 1, (socket) => void socket.pause().write(toApi('/openapi.json').repeat(500))),
  },
  {
    ...floods,
    pace: 'long',
    name: 'sends an endless chunk extension',
    run: async (world) =>
      await sendTooMuch(
        world,
        `POST /v2/sandboxes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;x=${'y'.repeat(20_000_000)}`,
      ),
  },
  {
    ...floods,
    pace: 'quick',
    name: 'sends a head of 20 MB',
    run: async (world) =>
      await sendTooMuch(world, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000_000)}\r\n\r\n`),
  },
  {
    ...floods,
    pace: 'quick',
    name: 'sends 100,000 headers',
    run: async (world) =>
      await sendTooMuch(world, `GET / HTTP/1.1\r\nHost: localhost\r\n${'A: b\r\n'.repeat(100_000)}\r\n`),
  },
  {
    ...floods,
    pace: 'quick',
    name: 'sends endless trailers',
    run: async (world) =>
      await sendTooMuch(
        world,
        `POST /v2/sandboxes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(500_000)}`,
      ),
  },
  {
    ...floods,
    pace: 'quick',
    name: 'sends a JSON body of 1,000,000 brackets',
    run: async (world) =>
      await sendTooMuch(
        world,
        `POST /v2/sandboxes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${world.target.apiKey}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n${'['.repeat(1_000_000)}`,
      ),
  },
];
