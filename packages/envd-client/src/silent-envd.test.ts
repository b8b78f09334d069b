import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Secret } from '@soulbox/base';
import type { Dial } from '@soulbox/contract';
import { createEnvdClient } from './envd-client.ts';
import { createFiles } from './files.ts';
import { createPrograms } from './programs.ts';

// An envd that accepts every connection and never sends a byte.
let sockets: Socket[];
let server: Server;
beforeEach(async () => {
  sockets = [];
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined).resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
  for (const socket of sockets) socket.destroy();
  server.close();
});

const dials: Readonly<Record<string, Dial>> = {
  'never answers': async () => await Promise.resolve(connect((server.address() as AddressInfo).port, '127.0.0.1')),
  'is never reached': async () => await new Promise<Socket>(() => undefined),
};
const program = { command: 'true', args: [] };
const calls: Readonly<Record<string, (dial: Dial) => Promise<unknown>>> = {
  'envd.isHealthy': (dial) => createEnvdClient(dial, new Secret('t')).isHealthy(),
  'envd.init': (dial) => createEnvdClient(dial, new Secret('t')).init({ envVars: {}, timestamp: '' }),
  'files.stat': (dial) => createFiles(dial, 't', 'user').stat('/a'),
  'files.read': (dial) => createFiles(dial, 't', 'user').read('/a', 10),
  'programs.run': (dial) => createPrograms(dial, 't').run(program),
  'programs.startDetached': (dial) => createPrograms(dial, 't').startDetached(program),
  'programs.run with input': (dial) => createPrograms(dial, 't').run({ ...program, stdin: Buffer.from('a') }),
  'programs.upload': (dial) => createPrograms(dial, 't').upload('/a', Buffer.from('a'), { timeoutMs: 10_000 }),
};

describe.each(Object.keys(dials))('an envd that %s', (name) => {
  test.each(Object.keys(calls))('is awaited by %s no longer than 30 seconds', async (call) => {
    let isOver = false;
    const over = calls[call]?.(dials[name] as Dial).then(
      () => (isOver = true),
      () => (isOver = true),
    );
    // Lets pending work on real sockets happen before the fake clock advances.
    for (let round = 0; round < 5; round++) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(9_900);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(20_200);
    await over;
    expect(isOver).toBe(true);
  });
});

test('an aborted upload is given up at once, and its connection is closed', async () => {
  vi.useRealTimers();
  const abort = new AbortController();
  const reason = new Error('no longer needed');
  const programs = createPrograms(dials['never answers'] as Dial, 't');
  const uploading = programs.upload('/a', Buffer.from('a'), { signal: abort.signal });
  await vi.waitFor(() => expect(sockets).toHaveLength(1));
  abort.abort(reason);
  await expect(uploading).rejects.toMatchObject({ reason: 'sandbox_unreachable', cause: reason });
  await vi.waitFor(() => expect(sockets[0]?.destroyed).toBe(true));
});

test('an error while reading the file for an upload is not attributed to envd', async () => {
  vi.useRealTimers();
  const programs = createPrograms(dials['never answers'] as Dial, 't');
  const fault = new Error('EIO');
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from('a'));
    throw fault;
  }
  await expect(programs.upload('/a', broken())).rejects.toBe(fault);
});
