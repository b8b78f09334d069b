/** @module-tag violation */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '@soulbox/base/logger';
import { openListener } from './open-listener.ts';
import type { Listener, ListenerClient } from './open-listener.ts';

// The program itself is tested in apps/sftp-server, and with ssh(1) in e2e/ssh. Here it is hostile.

const token = '0'.repeat(32);
let cleanup: AsyncDisposableStack;
/** What the program does on the control connection. */
let behave: (control: Socket) => void;
let door: number;
beforeEach(async () => {
  cleanup = new AsyncDisposableStack();
  behave = () => undefined;
  const server = createServer((socket) => {
    cleanup.defer(() => void socket.destroy());
    socket.on('error', () => undefined);
    behave(socket);
  }).listen(0, '127.0.0.1');
  cleanup.defer(() => void server.close());
  await once(server, 'listening');
  door = (server.address() as AddressInfo).port;
});
afterEach(async () => await cleanup.disposeAsync());

interface Seen {
  readonly clients: ListenerClient[];
  readonly dialed: unknown[];
  ends: number;
  isKilled: boolean;
}

/** `printed`: what the program prints; undefined: it ends. */
async function open(printed: string | undefined): Promise<{ listener: Listener; seen: Seen }> {
  const seen: Seen = { clients: [], dialed: [], ends: 0, isKilled: false };
  const listener = await openListener({
    sandbox: {
      programs: {
        run: async ({ signal }, onOutput) => {
          if (printed === undefined) return { exitCode: 3, status: 'exit status 3' };
          await onOutput?.('stderr', Buffer.from('noise\n'));
          await onOutput?.('stdout', Buffer.from(printed));
          await new Promise((resolve) => signal?.addEventListener('abort', resolve));
          seen.isKilled = true;
          return { exitCode: -1, status: 'signal: killed' };
        },
      },
      dial: async (port, options) => {
        seen.dialed.push(port, options);
        const socket = connect(port, '127.0.0.1');
        cleanup.defer(() => void socket.destroy());
        await once(socket, 'connect');
        return socket;
      },
    },
    ...{ program: '', port: 8080, logger: silentLogger },
    onClient: (client) => seen.clients.push(client),
    onEnd: () => (seen.ends += 1),
  });
  return { listener, seen };
}

test('the gateway keeps the port private, and clients are reported as they come', async () => {
  behave = (control) => {
    control.write('ready\n1 127.0.0.1 5');
    setTimeout(() => control.write('000\n2 ::1 6\n'), 50);
  };
  const { listener, seen } = await open(`${String(door)} 8080 ${token}\n`);
  await expect
    .poll(() => seen.clients)
    .toEqual([
      { id: '1', address: '127.0.0.1', port: 5000 },
      { id: '2', address: '::1', port: 6 },
    ]);
  expect(seen.dialed).toEqual([door, { privatePort: 8080 }]);
  listener[Symbol.dispose]();
  await sleep(50);
  expect(seen.ends).toBe(0);
});

test.each([
  ['ends', undefined],
  ['prints something else', 'hello\n'],
  ['prints without end', 'x'.repeat(100_000)],
  ['listens on another port', `1 8081 ${token}\n`],
  ['has no door', `0 8080 ${token}\n`],
  ['has a door that is no port', `99999 8080 ${token}\n`],
  ['shows no token', '1 8080 \n'],
])('a program that %s is no listener', async (_what, printed) => {
  await expect(open(printed)).rejects.toThrow(/listen/);
});

test.each([
  ['a line without end', 'x'.repeat(10_000)],
  ['no numbers', 'a b c\n'],
  ['a long address', `1 ${'f'.repeat(100)} 1\n`],
  ['an address with other bytes', '1 localhost\u0000 1\n'],
])('a program that announces %s is ended, and reports no client', async (_what, line) => {
  behave = (control) => {
    control.write('ready\n');
    setTimeout(() => control.write(line), 50);
  };
  const { seen } = await open(`${String(door)} 8080 ${token}\n`);
  await expect.poll(() => seen.ends).toBe(1);
  expect(seen.clients).toEqual([]);
});

test('a program that reads no refusals is ended', async () => {
  behave = (control) => void control.pause().write('ready\n');
  const { listener, seen } = await open(`${String(door)} 8080 ${token}\n`);
  const id = '1'.repeat(60_000);
  for (let count = 0; count < 1000 && seen.ends === 0; count += 1) {
    listener.refuse({ id, address: '::1', port: 1 });
    await sleep(0);
  }
  expect(seen.ends).toBe(1);
});
