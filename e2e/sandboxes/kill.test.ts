import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox, SandboxNotFoundError, TimeoutError } from 'e2b';
import { expect, test } from 'vitest';
import { ask, routes } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const hostTraces = async (): Promise<string[]> => {
  const { listHostTraces } = await import('@soulbox/testing');
  return await listHostTraces(server.instance);
};

test('kill works once', async () => {
  const sandbox = await createSandbox();
  expect(await sandbox.kill()).toBe(true);
  expect(await sandbox.kill()).toBe(false);
  expect(await Sandbox.kill(sandbox.sandboxId)).toBe(false);
  expect(await sandbox.isRunning()).toBe(false);
  await expect(sandbox.getInfo()).rejects.toThrow(SandboxNotFoundError);
});

test('exactly one of several kills at once reports success', async () => {
  const sandbox = await createSandbox();
  const results = await Promise.all([sandbox.kill(), sandbox.kill(), sandbox.kill()]);
  expect(results.filter(Boolean)).toHaveLength(1);
});

test('a killed sandbox disappears from the list at once', async () => {
  const sandbox = await createSandbox({ metadata: { test: 'kill-list' } });
  await sandbox.kill();
  const listed = await Sandbox.list({ query: { metadata: { test: 'kill-list' } } }).nextItems();
  expect(listed.map(({ sandboxId }) => sandboxId)).not.toContain(sandbox.sandboxId);
});

test('a kill ends the stream of a running command, and the client reports the end of the sandbox', async () => {
  const sandbox = await createSandbox();
  const handle = await sandbox.commands.run('sleep 100', { background: true, timeoutMs: 0 });
  const failure = handle.wait().then(
    () => 'the command ended',
    (error: unknown) => error,
  );
  await sandbox.kill();
  const error = await failure;
  expect(error).toBeInstanceOf(TimeoutError);
  expect((error as Error).message).toMatch(/killed or reached its end of life/);
});

test('a kill ends a watch with an error', async () => {
  const sandbox = await createSandbox();
  const ended = Promise.withResolvers<Error | undefined>();
  await sandbox.files.watchDir('/home/user', () => undefined, { onExit: ended.resolve, timeoutMs: 0 });
  await sandbox.kill();
  expect(await ended.promise).toBeInstanceOf(Error);
});

test.each(['host', 'headers'] as const)('a killed sandbox answers 502 at the edge, named by %s', async (form) => {
  const sandbox = await createSandbox();
  await sandbox.kill();
  for (const port of [49983, 8080]) {
    const answer = await ask({ path: '/health', headers: routes[form](sandbox.sandboxId, port) });
    expect(answer.status).toBe(502);
    expect(answer.headers['content-type']).toContain('application/json');
    expect(JSON.parse(answer.body)).toEqual({
      sandboxId: sandbox.sandboxId,
      message: 'The sandbox was not found',
      code: 502,
    });
  }
});

test('calls after a kill fail with the right error classes', async () => {
  const sandbox = await createSandbox();
  await sandbox.kill();
  await expect(sandbox.commands.run('true')).rejects.toThrow(SandboxNotFoundError);
  await expect(sandbox.files.list('/')).rejects.toThrow(TimeoutError);
  await expect(sandbox.files.read('/etc/hostname')).rejects.toThrow(TimeoutError);
  await expect(sandbox.files.write('/tmp/x', 'x')).rejects.toThrow(TimeoutError);
});

test('a kill removes processes, mounts, cgroup, interface and disk of the sandbox', async () => {
  const sandbox = await createSandbox();
  await sandbox.commands.run('sleep 1000', { background: true, timeoutMs: 0 });
  expect((await hostTraces()).join('\n')).toContain(sandbox.sandboxId);
  await sandbox.kill();
  await until('no trace', async () => !(await hostTraces()).join('\n').includes(sandbox.sandboxId), 5000);
});

test('a kill during an upload fails only that upload', async () => {
  const [sandbox, other] = await Promise.all([createSandbox(), createSandbox()]);
  const endless = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await sleep(5);
      controller.enqueue(new Uint8Array(65_536));
    },
  });
  const upload = sandbox.files.write('/home/user/endless', endless, { requestTimeoutMs: 20_000 });
  const failure = upload.then(
    () => undefined,
    (error: unknown) => error,
  );
  await sleep(300);
  await sandbox.kill();
  expect(await failure).toBeInstanceOf(Error);
  expect((await other.commands.run('echo fine')).stdout).toBe('fine\n');
});
