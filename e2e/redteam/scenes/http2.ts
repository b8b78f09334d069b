import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverMemoryMib } from '@soulbox/testing';
import { Breach } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { frame, frameTypes, requestFrames, sendFrames } from './http2-frames.ts';
import { toPort } from './raw.ts';
import { capturePort, readCapture, refuseSmuggled, startCapture } from './smuggling.ts';

type Headers = readonly (readonly [string, string])[];

const hidden = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
const head = (method: string, path: string): Headers => [
  [':method', method],
  [':path', path],
  [':scheme', 'http'],
  [':authority', 'localhost'],
];

/** Requests of HTTP/2 that would be others after the gateway's translation to HTTP/1.1. */
const downgrades: readonly (readonly [name: string, headers: Headers, body?: string])[] = [
  ['a line break in a value', [...head('GET', '/first'), ['x-a', `1\r\nInjected: y\r\n\r\n${hidden}`]]],
  ['a bare line feed in a value', [...head('GET', '/first'), ['x-a', '1\nInjected: y']]],
  ['a line break in a name', [...head('GET', '/first'), ['x-a: 1\r\ninjected', 'y']]],
  ['a colon in a name', [...head('GET', '/first'), ['injected: y\r\nx', 'z']]],
  ['a coding', [...head('POST', '/first'), ['transfer-encoding', 'chunked']], `0\r\n\r\n${hidden}`],
  ['a length that is too small', [...head('POST', '/first'), ['content-length', '0']], hidden],
  ['a length that is too large', [...head('POST', '/first'), ['content-length', '500']], hidden],
  [
    'two lengths',
    [...head('POST', '/first'), ['content-length', '0'], ['content-length', String(hidden.length)]],
    hidden,
  ],
  ['a second request in the path', head('GET', `/first HTTP/1.1\r\nInjected: y\r\n\r\n${hidden}`)],
  ['a blank in the path', head('GET', '/first HTTP/1.1 /x')],
  ['a second request in the method', head(`GET /smuggled HTTP/1.1\r\nInjected: y\r\n\r\nGET`, '/first')],
  ['a line break in the authority', [...head('GET', '/first').slice(0, 3), [':authority', 'localhost\r\nInjected: y']]],
  ['two paths', [...head('GET', '/first'), [':path', '/smuggled']]],
  [
    'headers of the connection',
    [...head('POST', '/first'), ['connection', 'upgrade'], ['upgrade', 'websocket']],
    hidden,
  ],
  ['an upper-case name', [...head('POST', '/first'), ['Content-Length', '0']], hidden],
];

const quick = ['a line break in a value', 'a coding', 'a length that is too small', 'a second request in the path'];

async function downgrade(world: World, headers: Headers, body: string | undefined): Promise<string> {
  const { target, attacker } = world;
  await startCapture(world);
  await readCapture(world);
  const routing = Object.entries(toPort(attacker.sandboxId, capturePort));
  const state = await sendFrames(target.port, requestFrames(1, [...headers, ...routing], body));
  const connections = await readCapture(world);
  refuseSmuggled(connections);
  return `${connections.length} connections arrived, all requests checked; the connection was ${state}`;
}

/** MiB by which an attack may let the server grow. */
const growthMib = 200;

async function flood(world: World, attack: (port: number) => Promise<string>): Promise<string> {
  const before = serverMemoryMib(world.target.pid);
  const done = attack(world.target.port);
  const harm = await world.neighbor.findHarm();
  const evidence = await done;
  const growth = Math.round(serverMemoryMib(world.target.pid) - before);
  if (harm.length > 0) throw new Breach(harm.join('; '));
  if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
  return `the neighbor answered meanwhile, and the server grew by ${growth} MiB; ${evidence}`;
}

async function rapidReset(port: number): Promise<string> {
  let resets = 0;
  for (let round = 0; round < 10; round += 1) {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    await new Promise<void>((resolve) => {
      session.once('connect', () => resolve());
      session.once('close', () => resolve());
    });
    for (let n = 0; n < 500 && !session.destroyed; n += 1) {
      const stream = session.request({ ':path': '/openapi.json' });
      stream.on('error', () => undefined);
      stream.close(8);
      resets += 1;
    }
    await sleep(20);
    session.destroy();
  }
  return `${resets} streams were opened and reset`;
}

const repeated = (bytes: Buffer, count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes));
const parts = (count: number): Buffer => {
  const part = frame(frameTypes.continuation, 0, 1, Buffer.alloc(16_000));
  return Buffer.concat([frame(frameTypes.headers, 0, 1, Buffer.alloc(16)), repeated(part, count)]);
};
/** One long header that the table keeps, then references to it: few bytes that stand for many. */
const bomb = (): Buffer => {
  const stored = Buffer.concat([Buffer.from([0x40, 1, 0x61, 127, 0x81, 0x1e]), Buffer.alloc(4000, 0x61)]);
  const block = Buffer.concat([stored, Buffer.alloc(12_000, 0xbe)]);
  return Buffer.concat(Array.from({ length: 20 }, (_, n) => frame(frameTypes.headers, 5, 2 * n + 1, block)));
};

const floods: readonly (readonly [name: string, pace: Scene['pace'], attack: (port: number) => Promise<string>])[] = [
  ['opens streams and resets them at once (rapid reset)', 'quick', rapidReset],
  ['sends headers in endless parts (CONTINUATION)', 'quick', async (port) => await sendFrames(port, parts(2000))],
  [
    'sends 100,000 pings',
    'long',
    async (port) => await sendFrames(port, repeated(frame(frameTypes.ping, 0, 0, Buffer.alloc(8)), 100_000), 3000),
  ],
  [
    'changes its settings 100,000 times',
    'long',
    async (port) => await sendFrames(port, repeated(frame(frameTypes.settings, 0, 0), 100_000), 3000),
  ],
  ['sends small headers that stand for large ones (HPACK)', 'quick', async (port) => await sendFrames(port, bomb())],
  [
    'sends empty data without an end',
    'long',
    async (port) => {
      const open = frame(frameTypes.headers, 4, 1, Buffer.from([0x83, 0x84, 0x86]));
      return await sendFrames(port, Buffer.concat([open, repeated(frame(frameTypes.data, 0, 1), 100_000)]), 3000);
    },
  ],
  [
    'overflows the window of the connection',
    'long',
    async (port) =>
      await sendFrames(port, repeated(frame(frameTypes.windowUpdate, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])), 3)),
  ],
];

export const http2: readonly Scene[] = [
  ...downgrades.map(([name, headers, body]): Scene => ({
    ...{ kind: 'scene', wall: 'edge', by: ['outside'] },
    name: `smuggles through HTTP/2 with ${name}`,
    pace: quick.includes(name) ? 'quick' : 'long',
    run: async (world) => await downgrade(world, headers, body),
  })),
  ...floods.map(([name, pace, attack]): Scene => ({
    ...{ kind: 'scene', wall: 'floods', by: ['outside'], name, pace },
    run: async (world) => await flood(world, attack),
  })),
];
