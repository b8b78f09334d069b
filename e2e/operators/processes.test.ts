import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { once } from 'node:events';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { userOf } from '@soulbox/process';
import { findServerPart, listHostTraces, listServerParts, serverDescriptors, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import type { CommandHandle } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = 2;
let server: ServerProcess;

const connection = (): { apiUrl: string; sandboxUrl: string; apiKey: string } => ({
  apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
});
const pidOf = (part: string): number => {
  const pid = findServerPart(server.pid, part);
  if (pid === undefined) throw new Error(`no ${part} below ${server.pid}`);
  return pid;
};
const statusOf = (pid: number, field: string): string =>
  new RegExp(`^${field}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '';

/** Kills a part with SIGKILL. Returns the milliseconds until a request was answered again. */
async function killPart(part: string): Promise<number> {
  const pid = pidOf(part);
  const startedAt = performance.now();
  process.kill(pid, 'SIGKILL');
  await until(`the end of ${pid}`, () => findServerPart(server.pid, part) !== pid);
  // On a new connection: a kept one would belong to the killed process.
  const asked = get(`${connection().apiUrl}/health`, { agent: false, signal: AbortSignal.timeout(20_000) });
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  expect(answer.statusCode).toBeLessThan(300);
  return performance.now() - startedAt;
}

/** A command that counts until it ends. */
async function count(sandbox: Sandbox): Promise<CommandHandle> {
  const handle = await sandbox.commands.run('for i in $(seq 100000); do echo $i | tee /tmp/count; sleep 0.02; done', {
    background: true,
    timeoutMs: 0,
  });
  await until('output', () => handle.stdout !== '');
  return handle;
}

beforeAll(async () => {
  server = await startServer({ instance, poolSize: 1, environment: { SOULBOX_ISOLATION: shared.isolation } });
});
afterAll(async () => {
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

test('the gateway is a process without privileges', () => {
  const pid = pidOf('gateway');
  const id = String(userOf(instance, 'gateway'));
  expect(statusOf(pid, 'Uid').split('\t')).toEqual([id, id, id, id]);
  expect(statusOf(pid, 'Gid').split('\t')).toEqual([id, id, id, id]);
  expect(statusOf(pid, 'Groups')).toBe('');
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    expect([set, statusOf(pid, set)]).toEqual([set, '0000000000000000']);
  expect(statusOf(pid, 'NoNewPrivs')).toBe('1');
  expect(statusOf(pid, 'Seccomp')).toBe('2');
  expect(readlinkSync(`/proc/${pid}/root`)).toBe(`/run/soulbox-${instance}/gateway`);
  expect(readlinkSync(`/proc/${pid}/ns/net`)).not.toBe(readlinkSync('/proc/self/ns/net'));
});

test('the arguments and environments of the parts contain no setting and no key of the server', async () => {
  const key = connection().apiKey;
  for (const { pid } of listServerParts(server.pid).filter(({ name }) => name !== 'supervisor')) {
    const shown = ['cmdline', 'environ'].map((name) => readFileSync(`/proc/${pid}/${name}`, 'utf8')).join('\0');
    expect(shown).not.toContain(key);
    expect(shown).not.toContain('SOULBOX_');
    expect(shown).not.toContain(server.dataDirectory);
  }
  await Promise.resolve();
});

test('a killed gateway is back within a second, and programs in sandboxes continue', async () => {
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 120_000 });
  const handle = await count(sandbox);
  const lost = handle.wait().catch((error: unknown) => error);
  const before = Number(await sandbox.files.read('/tmp/count'));

  expect(await killPart('gateway')).toBeLessThan(1000 * slowness);
  expect(await lost).toBeInstanceOf(Error);
  const again = await sandbox.commands.connect(handle.pid);
  await until('further output', () => again.stdout !== '');
  expect(Number(await sandbox.files.read('/tmp/count'))).toBeGreaterThan(before);
  await again.kill();
  await again.wait().catch(() => undefined);
  await sandbox.kill();
}, 60_000);

/** Factor for a machine that others use at the same time. */
const slowness = 3;

test.each([
  ['control', async () => await Sandbox.list(connection()).nextItems()],
  ['runner', async () => await (await Sandbox.create(connection())).kill()],
] as const)(
  'a killed %s is back within a second',
  async (name, use) => {
    const pid = pidOf(name);
    const startedAt = performance.now();
    process.kill(pid, 'SIGKILL');
    await until(`the end of ${pid}`, () => findServerPart(server.pid, name) !== pid);
    await until(
      `use of the ${name}`,
      async () =>
        await use().then(
          () => true,
          () => false,
        ),
    );
    expect(performance.now() - startedAt).toBeLessThan(1000 * slowness);
  },
  60_000,
);

test.each(['gateway', 'control', 'egress'] as const)(
  'the %s has no descriptor of the root process that started it',
  (name) => {
    const directory = `/proc/${pidOf(name)}/fd`;
    const targets = readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
    expect(targets.length).toBeGreaterThan(5);
    // A ring of io_uring bypasses the system call filter.
    expect(targets.filter((target) => target.includes('io_uring'))).toEqual([]);
  },
);

test('clients that connect while there is no gateway wait for the next one', async () => {
  const pid = pidOf('gateway');
  process.kill(pid, 'SIGKILL');
  const socket = connect({ host: '127.0.0.1', port: server.port });
  socket.write('GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  const [data] = (await once(socket, 'data')) as [Buffer];
  expect(data.toString()).toMatch(/^HTTP\/1.1 2/);
  socket.destroy();
});

test('requests of many clients while the gateway is killed leave no open descriptor behind', async () => {
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 120_000 });
  const echo = async (): Promise<unknown> =>
    await sandbox.commands.run('echo x').then(
      ({ stdout }) => stdout,
      (error: unknown) => error,
    );
  await echo();
  await sleep(6000);
  const kept = (): number => serverDescriptors(server.pid, (name) => name !== 'gateway');
  const [before, all] = [kept(), serverDescriptors(server.pid)];
  for (let round = 0; round < 3; round += 1) {
    const asked = Array.from({ length: 20 }, echo);
    await sleep(30);
    await killPart('gateway');
    await Promise.all(asked);
  }
  expect(await echo()).toBe('x\n');
  await until('all closed', () => kept() <= before + 5, 20_000);
  // The client keeps some connections to the gateway open.
  expect(serverDescriptors(server.pid)).toBeLessThan(all + 30);
  await sandbox.kill();
}, 90_000);

test('while the runner restarts, open streams continue and requests wait', async () => {
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 120_000 });
  const handle = await count(sandbox);
  const pid = pidOf('runner');
  process.kill(pid, 'SIGKILL');
  const before = handle.stdout.length;
  // At once on kept connections, and on new ones when the runner is back.
  expect((await sandbox.commands.run('echo still')).stdout).toBe('still\n');
  await until('further output', () => handle.stdout.length > before);
  await until('the next one', () => (findServerPart(server.pid, 'runner') ?? pid) !== pid);
  expect((await sandbox.getInfo()).sandboxId).toBe(sandbox.sandboxId);
  const later = handle.stdout.length;
  await until('output after that', () => handle.stdout.length > later);
  await handle.kill();
  await handle.wait().catch(() => undefined);
  await sandbox.kill();
}, 60_000);

test('a pause succeeds while the gateway is stopped with an open stream', async ({ skip }) => {
  if (!shared.capabilities.checkpoint) skip('this driver saves no memory');
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 120_000 });
  const handle = await count(sandbox);
  const lost = handle.wait().catch((error: unknown) => error);
  const gateway = pidOf('gateway');
  // The API without the gateway.
  const key = connection().apiKey;
  const pausing = (async () => {
    const { request } = await import('node:http');
    const asked = request({
      socketPath: `${server.dataDirectory}/run/api.sock`,
      path: `/sandboxes/${sandbox.sandboxId}/pause`,
      method: 'POST',
      headers: { 'x-api-key': key },
    });
    asked.end();
    const [answer] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
    answer.resume();
    return answer.statusCode;
  })();
  process.kill(gateway, 'SIGSTOP');
  try {
    expect(await pausing).toBe(204);
  } finally {
    process.kill(gateway, 'SIGCONT');
  }
  expect(await lost).toBeInstanceOf(Error);
  const woken = await Sandbox.connect(sandbox.sandboxId, connection());
  const before = Number(await woken.files.read('/tmp/count'));
  await until('the command goes on', async () => Number(await woken.files.read('/tmp/count')) > before);
  await woken.kill();
}, 60_000);

test('only sandboxes outlive the supervisor of a server', async () => {
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 120_000 });
  const handle = await count(sandbox);
  handle.wait().catch(() => undefined);
  const pids = listServerParts(server.pid).map(({ pid }) => pid);
  expect(pids.length).toBeGreaterThan(2);
  await server.kill9();
  const isGone = (pid: number): boolean => {
    try {
      return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  };
  await until('all gone', () => pids.every(isGone), 5000);
  await server.restart();
  expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(handle.pid);
  await sandbox.kill();
}, 60_000);
