import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { listHostTraces, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, SandboxNotFoundError, Volume } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = 2;
let server: ServerProcess;

/** This file has its own server, because the tests kill it. */
const connection = (): { apiUrl: string; sandboxUrl: string; apiKey: string } => ({
  apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
});

beforeAll(async () => {
  const environment = { SOULBOX_ISOLATION: shared.isolation };
  server = await startServer({ instance, poolSize: 2, environment });
});
afterAll(async () => {
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

async function killAndRestart(): Promise<void> {
  await server.kill9();
  await server.restart();
}

async function logOf({ sandboxId }: Sandbox): Promise<string[]> {
  const { apiUrl, apiKey } = connection();
  const answer = await fetch(`${apiUrl}/v2/sandboxes/${sandboxId}/logs`, { headers: { 'x-api-key': apiKey } });
  return ((await answer.json()) as { logs: { message: string }[] }).logs.map(({ message }) => message);
}

test('signed URLs and the use of one-time URLs survive a kill of the server', async () => {
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 120_000 });
  await sandbox.files.write('/home/user/signed.txt', 'signed');
  const sign = async (once: boolean): Promise<string> => {
    const answer = await fetch(`${connection().apiUrl}/signed-urls`, {
      method: 'POST',
      headers: { 'x-api-key': connection().apiKey, 'content-type': 'application/json' },
      body: JSON.stringify({
        url: `/sandboxes-http/49983-${sandbox.sandboxId}/files?path=/home/user/signed.txt`,
        once,
      }),
    });
    return ((await answer.json()) as { url: string }).url;
  };
  const [many, used, unused] = [await sign(false), await sign(true), await sign(true)];
  expect((await fetch(used)).status).toBe(200);
  await killAndRestart();
  expect(await (await fetch(many)).text()).toBe('signed');
  expect([(await fetch(used)).status, (await fetch(unused)).status, (await fetch(unused)).status]).toEqual([
    409, 200, 409,
  ]);
  await sandbox.kill();
});

test('a program that writes to a volume goes on when the whole server is killed', async () => {
  const volume = await Volume.create('outlives', connection());
  const sandbox = await Sandbox.create('base', {
    ...connection(),
    volumeMounts: { '/data': volume },
    timeoutMs: 120_000,
  });
  const program = `import os
log = os.open("/data/log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
for n in range(2000):
  os.write(log, b"%d\\n" % n)
  if n % 10 == 0: os.fsync(log)
open("/tmp/done", "w").close()`;
  await sandbox.files.write('/tmp/write.py', program);
  await sandbox.commands.run('setsid sh -c "sleep 0.5; exec python3 /tmp/write.py" 2> /tmp/errors &', {
    background: true,
  });
  for (let kills = 0; kills < 2; kills += 1) {
    await sleep(1000);
    await killAndRestart();
  }
  const again = await Sandbox.connect(sandbox.sandboxId, connection());
  await until('the end of the program', async () => await again.files.exists('/tmp/done'), 60_000);
  const { stdout } = await again.commands.run('seq 0 1999 | cmp - /data/log && cat /tmp/errors');
  expect(stdout).toBe('');
  await again.kill();
  expect(await Volume.destroy(volume.volumeId, connection())).toBe(true);
});

test('a sandbox survives a kill of the server during a command', async () => {
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 120_000, metadata: { kept: 'yes' } });
  const before = await sandbox.getInfo();
  await sandbox.files.write('kept.txt', 'kept');
  const handle = await sandbox.commands.run('for i in $(seq 10000); do echo $i | tee /tmp/count; sleep 0.05; done', {
    background: true,
    timeoutMs: 0,
  });
  const lost = handle.wait().catch((error: unknown) => error);

  await killAndRestart();
  expect(await lost).toBeInstanceOf(Error);

  const after = await sandbox.getInfo();
  expect(after).toEqual(before);
  expect(await sandbox.isRunning()).toBe(true);
  expect(await sandbox.files.read('kept.txt')).toBe('kept');
  expect(await logOf(sandbox)).toEqual(expect.arrayContaining(['sandbox created', 'Process started']));
  expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(handle.pid);

  const fresh = await Sandbox.connect(sandbox.sandboxId, connection());
  const again = await fresh.commands.connect(handle.pid);
  await until('further output', () => again.stdout !== '');
  expect(Number(await fresh.files.read('/tmp/count'))).toBeGreaterThan(0);
  expect(await again.kill()).toBe(true);
  await again.wait().catch(() => undefined);
  expect(await sandbox.kill()).toBe(true);
});

test('a sandbox whose deadline passes while the server is down ends at the next start', async () => {
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs: 3000 });
  const kept = await Sandbox.create({ ...connection(), timeoutMs: 60_000 });
  await server.kill9();
  await sleep(3500);
  await server.restart();
  await until('the end', async () => !(await sandbox.isRunning()), 2000);
  await expect(sandbox.getInfo()).rejects.toThrow(SandboxNotFoundError);
  expect(await kept.isRunning()).toBe(true);
  await kept.kill();
});

test('deadlines stay in force after a restart', async () => {
  // A busy host may need longer for a restart than a fixed deadline allows.
  const startedAt = Date.now();
  await killAndRestart();
  const timeoutMs = 2000 + 2 * (Date.now() - startedAt);
  const sandbox = await Sandbox.create({ ...connection(), timeoutMs });
  const { endAt } = await sandbox.getInfo();
  await killAndRestart();
  expect(await sandbox.isRunning()).toBe(true);
  await until('the end', async () => !(await sandbox.isRunning()), 2 * timeoutMs);
  expect(Date.now() - endAt.getTime()).toBeLessThan(1500);
  expect(Date.now() - endAt.getTime()).toBeGreaterThan(-50);
});

test('a normal stop that keeps sandboxes only interrupts the server', async () => {
  const sandbox = await Sandbox.create({ ...connection(), allowInternetAccess: false });
  await server.stop({ keepSandboxes: true });
  await expect(sandbox.commands.run('true')).rejects.toThrow();
  await server.restart();
  expect((await sandbox.commands.run('echo back')).stdout).toBe('back\n');
  expect((await sandbox.getInfo()).allowInternetAccess).toBe(false);
  await sandbox.kill();
});

test('creates that were in progress when the server was killed leave nothing behind', async () => {
  const creates = Array.from({ length: 8 }, async () => await Sandbox.create(connection()).catch(() => undefined));
  await sleep(60);
  await server.kill9();
  await Promise.all(creates);
  await server.restart();
  const paginator = Sandbox.list(connection());
  while (paginator.hasNext) {
    for (const { sandboxId } of await paginator.nextItems()) await Sandbox.kill(sandboxId, connection());
  }
  const sandbox = await Sandbox.create(connection());
  expect((await sandbox.commands.run('echo works')).stdout).toBe('works\n');
  await sandbox.kill();
});

test('a second server on the same folder is refused', async () => {
  const second = startServer({ instance: 13, dataDirectory: server.dataDirectory });
  await expect(second).rejects.toThrow(/already uses/);
});

test('a stop at the moment when the server is ready leaves nothing behind', async () => {
  await Sandbox.create(connection());
  await killAndRestart();
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
});
