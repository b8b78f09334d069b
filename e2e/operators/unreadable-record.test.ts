/** @module-tag violation */
import { execFile } from 'node:child_process';
import { readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nodeProgram, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({
    instance: ownInstance(),
    environment: { SOULBOX_ISOLATION: shared.isolation },
    poolSize: 0,
  });
});
afterAll(async () => {
  await server.stop();
  await rm(server.dataDirectory, { recursive: true });
});

const connection = (): { apiUrl: string; sandboxUrl: string; apiKey: string } => ({
  apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
});

async function doctor(): Promise<string> {
  const main = join(import.meta.dirname, '../../apps/cli/bin/soulbox.mjs');
  const { stdout } = await promisify(execFile)(nodeProgram, [main, 'doctor', '--data-dir', server.dataDirectory]).catch(
    (error: unknown) => error as { stdout: string },
  );
  return stdout;
}

test('a sandbox whose record was damaged on disk is kept and reported, and has its memory again once the record is repaired', async () => {
  const make = async (): Promise<Sandbox> => await Sandbox.create({ ...connection(), timeoutMs: 600_000 });
  const [sleeping, running, other] = [await make(), await make(), await make()];
  await sleeping.files.write('/home/user/kept', 'content');
  await sleeping.commands.run('sleep 100000', { background: true });
  await sleeping.pause();
  await server.kill9();
  const records = [sleeping, running].map(({ sandboxId }) =>
    join(server.dataDirectory, 'sandboxes', `${sandboxId}.json`),
  );
  const contents = await Promise.all(records.map(async (path) => await readFile(path)));
  for (const path of records) await truncate(path, 50);

  await server.restart();
  expect((await other.commands.run('echo on')).stdout).toBe('on\n');
  await until(
    'the loss to be told',
    async () => !(await Sandbox.list(connection()).nextItems()).some(isOneOf([sleeping])),
  );
  expect(await running.isRunning()).toBe(false);
  const aside = join(server.dataDirectory, 'sandboxes-unreadable');
  expect(await doctor()).toContain(join(aside, `${sleeping.sandboxId}.json`));

  await server.stop({ keepSandboxes: true });
  for (const [index, { sandboxId }] of [sleeping, running].entries()) {
    await rename(join(aside, sandboxId), join(server.dataDirectory, 'sandboxes', sandboxId));
    await rm(join(aside, `${sandboxId}.json`));
    await writeFile(records[index] ?? '', contents[index] ?? '', { mode: 0o600 });
  }
  await server.restart();
  expect(await doctor()).not.toContain('sandboxes-unreadable');
  await until('its return', async () => (await Sandbox.list(connection()).nextItems()).some(isOneOf([sleeping])));
  const again = await Sandbox.connect(sleeping.sandboxId, connection());
  expect(await again.files.read('/home/user/kept')).toBe('content');
  expect((await again.commands.run('pgrep -c sleep')).stdout).toBe('1\n');
  // A sandbox that was running when its record was damaged has no saved memory.
  expect((await Sandbox.list(connection()).nextItems()).some(isOneOf([running]))).toBe(false);
});

const isOneOf = (sandboxes: readonly Sandbox[]) => (listed: { sandboxId: string }) =>
  sandboxes.some(({ sandboxId }) => sandboxId === listed.sandboxId);
