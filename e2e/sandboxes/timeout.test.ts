import { setTimeout as sleep } from 'node:timers/promises';

import { Sandbox, SandboxNotFoundError, TimeoutError } from 'e2b';
import { expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

/** The time when the sandbox stopped answering, in ms after its deadline. */
async function lateness(sandbox: Sandbox, endAt: Date): Promise<number> {
  await until('expiry', async () => !(await sandbox.isRunning()), 20_000);
  return Date.now() - endAt.getTime();
}

test('a sandbox ends within 1 s after its deadline, and not before', async () => {
  const sandbox = await createSandbox({ timeoutMs: 3000 });
  const { endAt, startedAt } = await sandbox.getInfo();
  expect(endAt.getTime() - startedAt.getTime()).toBe(3000);
  const late = await lateness(sandbox, endAt);
  expect(late).toBeGreaterThan(-50);
  expect(late).toBeLessThan(1000);
  await expect(sandbox.getInfo()).rejects.toThrow(SandboxNotFoundError);
  await expect(Sandbox.connect(sandbox.sandboxId)).rejects.toThrow(SandboxNotFoundError);
  await expect(sandbox.commands.run('true')).rejects.toThrow(SandboxNotFoundError);
});

test('setTimeout lengthens and shortens the lifetime', async () => {
  const sandbox = await createSandbox({ timeoutMs: 10_000 });
  await sandbox.setTimeout(120_000);
  const longer = (await sandbox.getInfo()).endAt.getTime() - Date.now();
  expect(longer).toBeGreaterThan(115_000);
  await sandbox.setTimeout(1000);
  const { endAt } = await sandbox.getInfo();
  expect(await lateness(sandbox, endAt)).toBeLessThan(1000);
});

test('setTimeout of 0 ends the sandbox at once', async () => {
  const sandbox = await createSandbox();
  await sandbox.setTimeout(0);
  await until('the end', async () => !(await sandbox.isRunning()), 1000);
});

test('setTimeout keeps a sandbox alive past its first deadline', async () => {
  const sandbox = await createSandbox({ timeoutMs: 2000 });
  await sandbox.setTimeout(20_000);
  await sleep(3000);
  expect(await sandbox.isRunning()).toBe(true);
});

test('connect only lengthens the lifetime', async () => {
  const sandbox = await createSandbox({ timeoutMs: 60_000 });
  const { endAt } = await sandbox.getInfo();
  await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 5000 });
  expect((await sandbox.getInfo()).endAt).toEqual(endAt);
  await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 300_000 });
  expect((await sandbox.getInfo()).endAt.getTime()).toBeGreaterThan(endAt.getTime() + 200_000);
});

test('connect of v2 needs no body and answers 200, and that of v1 requires a timeout', async () => {
  const sandbox = await createSandbox();
  const v2 = await askApi('POST', `/v2/sandboxes/${sandbox.sandboxId}/connect`);
  expect([v2.status, (v2.json as { sandboxID: string }).sandboxID]).toEqual([200, sandbox.sandboxId]);
  expect((await askApi('POST', `/sandboxes/${sandbox.sandboxId}/connect`, {})).status).toBe(400);
  expect((await askApi('POST', `/sandboxes/${sandbox.sandboxId}/connect`, { timeout: 60 })).status).toBe(200);
});

test('refreshes only lengthen the lifetime', async () => {
  const sandbox = await createSandbox({ timeoutMs: 10_000 });
  const { status } = await askApi('POST', `/sandboxes/${sandbox.sandboxId}/refreshes`, { duration: 600 });
  expect(status).toBe(204);
  expect((await sandbox.getInfo()).endAt.getTime() - Date.now()).toBeGreaterThan(590_000);
  const bad = await askApi('POST', `/sandboxes/${sandbox.sandboxId}/refreshes`, { duration: 3601 });
  expect(bad.status).toBe(400);
});

test('a command that streams at the deadline gets the end of the sandbox', async () => {
  const sandbox = await createSandbox({ timeoutMs: 2000 });
  const running = sandbox.commands.run('while true; do echo tick; sleep 0.1; done', { timeoutMs: 0 });
  await expect(running).rejects.toThrow(TimeoutError);
});
