import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '@soulbox/base';
import { createEnvdClient } from './envd-client.ts';
import { createFiles } from './files.ts';
import { createPrograms } from './programs.ts';
import type { EnvdTarget } from './way.ts';

// An envd that sends what no real one does, as fast as the client reads.
const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const scripts = {
  'interim answers': { head: '', endless: 'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n' },
  continues: { head: '', endless: 'HTTP/1.1 100 Continue\r\n\r\n' },
  headers: { head: 'HTTP/1.1 200 OK\r\n', endless: 'X-Header: aaaaaaaaaaaaaaaa\r\n' },
  trailers: { head: `${chunked}1\r\na\r\n0\r\n`, endless: 'X-Trailer: aaaaaaaaaaaaaaaa\r\n' },
  'single bytes': { head: chunked, endless: '1\r\na\r\n' },
  'a body': { head: chunked, endless: `1000\r\n${'a'.repeat(4096)}\r\n` },
};

let script: { head: string; endless: string };
let sockets: Socket[];
const server = createServer((socket) => {
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.once('data', () => {
    socket.on('data', () => undefined);
    const piece = Buffer.from(script.endless.repeat(Math.ceil(30_000 / script.endless.length)));
    const send = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.write(script.head);
    socket.on('drain', send);
    send();
  });
});
const port = (): number => (server.address() as AddressInfo).port;
const targets = {
  dialed: async () => await Promise.resolve(connect(port(), '127.0.0.1')),
  'behind a URL': {
    get url() {
      return `http://127.0.0.1:${port()}`;
    },
    headers: { 'e2b-sandbox-id': 'x' },
  },
} satisfies Readonly<Record<string, EnvdTarget>>;

beforeEach(async () => {
  sockets = [];
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.close();
  for (const socket of sockets) socket.destroy();
});

const token = new Secret('t');
const calls: Readonly<Record<string, (target: EnvdTarget) => Promise<unknown>>> = {
  'envd.init': (target) => createEnvdClient(target, token).init({ envVars: {}, timestamp: '' }),
  'envd.isHealthy': (target) => createEnvdClient(target, token).isHealthy(),
  'envd.rehearseResumed': (target) =>
    createEnvdClient(target, token).rehearseResumed({ sandboxId: 'i', generation: 'g', isCopy: true, timestamp: '' }),
  'envd.logs': (target) => createEnvdClient(target, token).logs(0),
  'envd.customMetrics': (target) => createEnvdClient(target, token).customMetrics(),
  'files.stat': (target) => createFiles(target, 't', 'user').stat('/a'),
  'files.list': (target) => createFiles(target, 't', 'user').list('/a'),
  'files.read': (target) => createFiles(target, 't', 'user').read('/a', 2_000_000),
  'programs.run': (target) => createPrograms(target, 't').run({ command: 'true', args: [] }),
  'programs.run in JSON': (target) => createPrograms(target, 't', 'json').run({ command: 'true', args: [] }),
  'programs.startDetached': (target) => createPrograms(target, 't').startDetached({ command: 'true', args: [] }),
  'programs.sendInput': (target) => createPrograms(target, 't').sendInput(1, Buffer.from('a')),
  'programs.upload': (target) =>
    createPrograms(target, 't').upload(
      '/a',
      (async function* () {
        yield await Promise.resolve(Buffer.from('a'));
      })(),
    ),
};

/** A URL uses the same code except for its agent. One case is enough to show that the bounds hold there too. */
const cases = [
  ...Object.keys(calls).map((call) => [call, 'dialed'] as const),
  ...(['envd.isHealthy', 'files.stat', 'programs.upload'] as const).map((call) => [call, 'behind a URL'] as const),
];

describe.each(Object.keys(scripts))('an envd that sends %s without end', (name) => {
  test.each(cases)('cannot hold up %s, and costs little memory, %s', async (call, target) => {
    script = scripts[name as keyof typeof scripts];
    const before = process.memoryUsage.rss();
    let most = 0;
    const meter = setInterval(() => (most = Math.max(most, process.memoryUsage.rss() - before)), 50);
    const outcome = await Promise.race([
      calls[call]?.(targets[target]).then(
        () => 'ended',
        () => 'ended',
      ),
      sleep(8000),
    ]);
    clearInterval(meter);
    expect(outcome).toBe('ended');
    expect(most / 1024 / 1024).toBeLessThan(150);
  });
});
