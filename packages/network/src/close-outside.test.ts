import type { Socket } from 'node:net';
import { run } from '@soulbox/base';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { closeOutside } from './close-outside.ts';
import { openNamespace } from './dial.ts';
import { startLabNamespace } from './testing/test-lab.ts';
import type { LabNamespace } from './testing/test-lab.ts';

let sandbox: LabNamespace;
let outside: LabNamespace;
const outsideHost = '203.0.113.10';
/**
 * The processes of the lab belong to the host's root, which processes of a sandbox never do. So here the host has
 * another uid.
 */
const otherHost = 65_533;

beforeAll(async () => {
  [sandbox, outside] = await Promise.all([startLabNamespace(), startLabNamespace()]);
  await run('ip', ['-batch', '-'], {
    input: `link add name eth0 netns ${sandbox.path} type veth peer name eth0 netns ${outside.path}\n`,
  });
  await sandbox.ip('link set lo up\naddr add 10.11.0.2/24 dev eth0\nlink set eth0 up\nroute add default dev eth0\n');
  await outside.ip(
    `link set lo up\naddr add ${outsideHost}/32 dev eth0\nlink set eth0 up\nroute add 10.11.0.0/24 dev eth0\n`,
  );
  await outside.ask({ op: 'listen', host: '0.0.0.0', port: 8080 });
  for (const host of ['127.0.0.1', '::1', '10.11.0.2']) await sandbox.ask({ op: 'listen', host, port: 7000 });
});

afterAll(async () => {
  await Promise.all([sandbox, outside].map(async (namespace) => await namespace.stop()));
});

beforeEach(() => {
  // Closes connections that an earlier test left open.
  closeOutside(sandbox.path);
});

async function hold(name: string, host: string, port: number): Promise<void> {
  expect(await sandbox.ask({ op: 'hold', name, host, port })).toContain('open');
}

test('connections to the outside end, and both sides notice', async () => {
  await hold('v4', outsideHost, 8080);
  await hold('mapped', `::ffff:${outsideHost}`, 8080);
  expect(closeOutside(sandbox.path, otherHost)).toBe(2);
  expect(await sandbox.ask({ op: 'ping', name: 'v4' })).toMatch(/closed|ECONNABORTED/);
  expect(await sandbox.ask({ op: 'ping', name: 'mapped' })).toMatch(/closed|ECONNABORTED/);
  const left = await run('nsenter', [`--net=${outside.path}`, 'ss', '-Htn', 'state', 'established']);
  expect(left.trim()).toBe('');
});

test('connections between processes inside stay open, whichever address they use', async () => {
  const hosts = ['127.0.0.1', '127.8.9.1', '::1', '10.11.0.2', '::ffff:127.0.0.1'];
  await sandbox.ask({ op: 'listen', host: '127.8.9.1', port: 7000 });
  for (const host of hosts) await hold(host, host, 7000);
  expect(closeOutside(sandbox.path, otherHost)).toBe(0);
  for (const host of hosts) expect(await sandbox.ask({ op: 'ping', name: host })).toBe('alive');
});

test('a connection that the host opened into the sandbox ends, although it uses loopback', async () => {
  const namespace = openNamespace(sandbox.path);
  let socket: Socket | undefined;
  try {
    socket = await namespace.dial(7000);
    const error = new Promise((resolve) => socket?.resume().once('error', resolve));
    expect(closeOutside(sandbox.path)).toBeGreaterThan(0);
    expect(await error).toMatchObject({ syscall: 'read' });
  } finally {
    socket?.destroy();
    namespace.close();
  }
});

test('listening sockets stay open', async () => {
  closeOutside(sandbox.path);
  expect(await sandbox.ask({ op: 'connect', host: '127.0.0.1', port: 7000 })).toContain('open');
});

test('many connections are ended in one call', async () => {
  expect(await sandbox.ask({ op: 'flood', host: outsideHost, port: 8080, count: 500 })).toBe('500');
  expect(closeOutside(sandbox.path)).toBe(500);
  expect(closeOutside(sandbox.path)).toBe(0);
});

test("a missing namespace is an error, and so is the host's own", () => {
  expect(() => closeOutside('/proc/self/ns/net')).toThrow(/its own network namespace/);
  expect(() => closeOutside('/proc/1999999999/ns/net')).toThrow(/cannot be opened/);
});
