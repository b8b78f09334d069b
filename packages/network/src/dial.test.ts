import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openNamespace } from './dial.ts';
import type { Namespace } from './dial.ts';
import { startLabNamespace } from './testing/test-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';

let sandbox: LabNamespace;
let namespace: Namespace;

beforeAll(async () => {
  sandbox = await startLabNamespace();
  await sandbox.ip(
    'link set lo up\nlink add eth0 type veth peer name other\nlink set other up\naddr add 10.11.0.2/24 dev eth0\nlink set eth0 up\n',
  );
  await sandbox.ask({ op: 'listen', host: '127.0.0.1', port: 4001 });
  await sandbox.ask({ op: 'listen', host: '::1', port: 4002 });
  await sandbox.ask({ op: 'listen', host: '10.11.0.2', port: 4003 });
  await sandbox.ask({ op: 'listen', host: '::', port: 4004 });
  await sandbox.ask({ op: 'listen', host: '0.0.0.0', port: 9000, sink: true });
  namespace = openNamespace(sandbox.path);
});

afterAll(async () => {
  namespace.close();
  await sandbox.stop();
});

async function readSome(socket: Socket): Promise<string> {
  const [data] = (await once(socket, 'data')) as [Buffer];
  return data.toString();
}

test.each([
  ['127.0.0.1', 4001, '127.0.0.1\n'],
  ['::1', 4002, '::1\n'],
  ['the address of eth0', 4003, '10.11.0.2\n'],
  ['any IPv6 address', 4004, '::1\n'],
])('a service on %s only is reached', async (_where, port, greeting) => {
  const socket = await namespace.dial(port);
  expect(await readSome(socket)).toBe(greeting);
  socket.write('hello');
  expect(await readSome(socket)).toBe('hello');
  const closed = once(socket, 'close');
  socket.end();
  await closed;
});

test('a closed port fails at once with port_closed', async () => {
  const began = performance.now();
  await expect(namespace.dial(4999)).rejects.toMatchObject({ reason: 'port_closed', code: 'unavailable' });
  expect(performance.now() - began).toBeLessThan(500);
});

test('a port of loopback refuses until something listens, and after the close', async () => {
  expect([4001, 9000, 4999].map((port) => namespace.refuses(port))).toEqual([false, false, true]);
  // A service on another address does not count.
  expect(namespace.refuses(4003)).toBe(true);
  await sandbox.ask({ op: 'listen', host: '127.0.0.1', port: 4005 });
  expect(namespace.refuses(4005)).toBe(false);
  const other = openNamespace(sandbox.path);
  other.close();
  expect(other.refuses(4001)).toBe(true);
});

test.each([0, -1, 65_536, 1.5, Number.NaN])('port %s is a bad request', async (port) => {
  await expect(namespace.dial(port)).rejects.toMatchObject({ reason: 'bad_request' });
});

test('64 MiB arrive complete through a dialled socket', async () => {
  const socket = await namespace.dial(9000);
  const block = Buffer.alloc(1024 * 1024, 1);
  for (let sent = 0; sent < 64; sent += 1) if (!socket.write(block)) await once(socket, 'drain');
  const answer = readSome(socket);
  socket.end();
  expect(await answer).toBe(String(64 * 1024 * 1024));
});

test('200 simultaneous dials neither get mixed up nor leak descriptors', async () => {
  const countOpen = (): number => readdirSync('/proc/self/fd').length;
  const before = countOpen();
  const sockets = await Promise.all(
    Array.from({ length: 4 }).flatMap(() => Array.from({ length: 50 }, async () => await namespace.dial(4001))),
  );
  expect(await Promise.all(sockets.map(readSome))).toEqual(sockets.map(() => '127.0.0.1\n'));
  for (const socket of sockets) socket.destroy();
  await Promise.all(Array.from({ length: 50 }, async () => await namespace.dial(4999).catch(() => undefined)));
  await sleep(50);
  expect(countOpen() - before).toBeLessThan(50);
});

test("the thread is back in the host's network after every dial", async () => {
  const own = readlinkSync('/proc/thread-self/ns/net');
  const dialled = namespace.dial(4001);
  expect(readlinkSync('/proc/thread-self/ns/net')).toBe(own);
  (await dialled).destroy();
});

test('an abort ends a waiting dial with the reason of the signal', async () => {
  const controller = new AbortController();
  controller.abort(new Error('gone'));
  await expect(namespace.dial(4001, { signal: controller.signal })).rejects.toThrow('gone');
});

test('a port whose accept queue is full holds up a dial for at most 5 s, and no other dials', async () => {
  const stuck = await startLabNamespace();
  await stuck.ip('link set lo up\n');
  await stuck.ask({ op: 'listen', host: '127.0.0.1', port: 4010, backlog: 1 });
  process.kill(stuck.pid, 'SIGSTOP');
  const full = openNamespace(stuck.path);
  const sockets: Socket[] = [];
  try {
    const began = performance.now();
    const dials = Array.from({ length: 6 }, async () => {
      sockets.push(await full.dial(4010));
    });
    const other = await namespace.dial(4001);
    expect(performance.now() - began).toBeLessThan(1000);
    other.destroy();
    const outcomes = await Promise.allSettled(dials);
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(refused.length).toBeGreaterThanOrEqual(3);
    for (const { reason } of refused) expect(reason).toMatchObject({ reason: 'port_closed' });
    expect(performance.now() - began).toBeLessThan(6000);

    const controller = new AbortController();
    const aborted = full.dial(4010, { signal: controller.signal });
    controller.abort(new Error('client left'));
    await expect(aborted).rejects.toThrow('client left');

    const many = await Promise.allSettled(Array.from({ length: 300 }, async () => await full.dial(4010)));
    for (const outcome of many.slice(256)) expect(outcome).toMatchObject({ reason: { reason: 'limit_exceeded' } });
  } finally {
    for (const socket of sockets) socket.destroy();
    full.close();
    process.kill(stuck.pid, 'SIGCONT');
    await stuck.stop();
  }
});

test('when the processes of a sandbox end, first its ports are closed, then its path is gone', async () => {
  const mortal = await startLabNamespace();
  await mortal.ip('link set lo up\n');
  await mortal.ask({ op: 'listen', host: '127.0.0.1', port: 4020 });
  const kept = openNamespace(mortal.path);
  const socket = await kept.dial(4020);
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => undefined).resume();
  await mortal.stop();
  await ended;
  await expect(kept.dial(4020)).rejects.toMatchObject({ reason: 'port_closed' });
  kept.close();
  kept.close();
  await expect(kept.dial(4020)).rejects.toMatchObject({ reason: 'sandbox_unreachable' });
  expect(() => openNamespace(mortal.path)).toThrow(/cannot be opened/);
});

test.each(['/proc/self/ns/net', '/proc/self/ns/pid', '/etc/hostname'])(
  "%s is the host's own or no network namespace, and is refused",
  (path) => {
    expect(() => openNamespace(path)).toThrow(/its own network namespace/);
  },
);
