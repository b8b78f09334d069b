import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '@soulbox/base';
import { isThere } from '@soulbox/testing';
import { EgressRefusal } from '../judge/refusal.ts';
import type { DialDirectly } from '../upstream/dial.ts';
import { dialThroughProxy } from './dial-through-proxy.ts';

const never = new AbortController().signal;
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(take: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    take(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const directly: DialDirectly = async (host, port) => {
  const socket = connect(port, host);
  await once(socket, 'connect');
  return { socket, address: host };
};

async function dial(port: number, to: number, credentials?: { username: string; password: string }): Promise<Socket> {
  return await dialThroughProxy({
    proxy: {
      ...{ host: '127.0.0.1', port },
      credentials: credentials && { username: credentials.username, password: new Secret(credentials.password) },
    },
    destination: { address: '127.0.0.1', port: to },
    dialDirectly: directly,
    signal: never,
  });
}

describe.skipIf(!isThere('microsocks', spawnSync('microsocks', ['-h']).error === undefined))(
  'through microsocks',
  () => {
    let proxyPort = 0;
    let proxy: ReturnType<typeof spawn>;
    beforeEach(async () => {
      proxyPort = await listen(() => undefined);
      servers.pop()?.close();
      proxy = spawn('microsocks', [
        '-q',
        '-i',
        '127.0.0.1',
        '-p',
        String(proxyPort),
        '-u',
        'me',
        '-P',
        'proxy-password',
      ]);
      for (let tries = 0; tries < 100 && !(await isOpen(proxyPort)); tries++) await sleep(20);
    });
    afterEach(() => void proxy.kill());

    test('a connection passes in both directions, also if the destination speaks first', async () => {
      const port = await listen((socket) => {
        socket.write('hello ');
        socket.pipe(socket);
      });
      const socket = await dial(proxyPort, port, { username: 'me', password: 'proxy-password' });
      socket.write('echo');
      let seen = '';
      for await (const chunk of socket) {
        seen += String(chunk);
        if (seen === 'hello echo') break;
      }
    });

    test.each([
      ['a wrong password', { username: 'me', password: 'other' }],
      ['no sign-in', undefined],
    ])('%s is refused, and the error has no password', async (_, credentials) => {
      const port = await listen(() => undefined);
      const error = await dial(proxyPort, port, credentials).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(EgressRefusal);
      expect((error as EgressRefusal).reason).toBe('proxy_failed');
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/proxy-password|other/);
    });

    test('a destination that refuses is proxy_failed', async () => {
      const port = await listen(() => undefined);
      servers.pop()?.close();
      await sleep(20);
      await expect(dial(proxyPort, port, { username: 'me', password: 'proxy-password' })).rejects.toMatchObject({
        reason: 'proxy_failed',
      });
    });
  },
);

test('the proxy gets the checked address, not a name', async () => {
  const asked = Promise.withResolvers<Buffer>();
  const port = await listen((socket) => {
    socket.once('data', () => {
      socket.write(Buffer.from([5, 0]));
      socket.once('data', (request: Buffer) => asked.resolve(request));
    });
  });
  const stop = new AbortController();
  const dialing = dialThroughProxy({
    proxy: { host: '127.0.0.1', port, credentials: undefined },
    destination: { address: '203.0.113.7', port: 443 },
    dialDirectly: directly,
    signal: stop.signal,
  });
  dialing.catch(() => undefined);
  expect([...(await asked.promise)]).toEqual([5, 1, 0, 1, 203, 0, 113, 7, 1, 187]);
  stop.abort(new EgressRefusal('policy_changed'));
  await expect(dialing).rejects.toMatchObject({ reason: 'policy_changed' });
});

test.each([
  ['closes', (socket: Socket) => void socket.end()],
  ['speaks HTTP', (socket: Socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['wants another sign-in', (socket: Socket) => void socket.write(Buffer.from([5, 255]))],
])('a server that %s is proxy_failed', async (_, take) => {
  const port = await listen((socket) => void socket.once('data', () => take(socket)));
  await expect(dial(port, 80)).rejects.toMatchObject({ reason: 'proxy_failed' });
});

test('a proxy whose own address is forbidden is proxy_failed', async () => {
  const dialing = dialThroughProxy({
    proxy: { host: '10.0.0.1', port: 1080, credentials: undefined },
    destination: { address: '203.0.113.7', port: 443 },
    dialDirectly: () => Promise.reject(new EgressRefusal('forbidden_address')),
    signal: never,
  });
  await expect(dialing).rejects.toMatchObject({ reason: 'proxy_failed', cause: { reason: 'forbidden_address' } });
});

async function isOpen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
