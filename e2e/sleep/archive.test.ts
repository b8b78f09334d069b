import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { ownInstance } from '../harness/own-instance.ts';
import { until } from '../harness/until.ts';

let server: ServerProcess;
let connection: { apiKey: string; apiUrl: string; sandboxUrl: string };

beforeAll(async () => {
  server = await startServer({
    instance: ownInstance(),
    poolSize: 1,
    environment: { SOULBOX_ARCHIVE_AFTER_SECONDS: '1' },
  });
  const { E2B_API_KEY = '', E2B_API_URL = '', E2B_SANDBOX_URL = '' } = server.clientEnvironment;
  connection = { apiKey: E2B_API_KEY, apiUrl: E2B_API_URL, sandboxUrl: E2B_SANDBOX_URL };
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
});

/** Ids of the checkpoints that have parts in the archive. */
async function archived(): Promise<string[]> {
  const names = await readdir(join(server.dataDirectory, 'archive'));
  return [...new Set(names.map((name) => name.split('~')[1] ?? ''))];
}

async function remember(sandbox: Sandbox): Promise<number> {
  // Zeros compress well. The word is in memory only.
  const script = 'import sys, time; block = bytearray(b"x" * 2**24); word = sys.stdin.readline(); time.sleep(600)';
  const { pid } = await sandbox.commands.run(`python3 -c '${script}'`, { background: true, stdin: true, timeoutMs: 0 });
  await sandbox.commands.sendStdin(pid, 'walrus\n');
  return pid;
}

const goesOn = async (sandbox: Sandbox, pid: number): Promise<boolean> =>
  (await sandbox.commands.list()).some((process) => process.pid === pid);

test('the memory of a sandbox that was paused for long is compressed, and restored at the next use', async () => {
  const sandbox = await Sandbox.create(connection);
  const pid = await remember(sandbox);
  const { snapshotId } = await sandbox.createSnapshot();
  await sandbox.pause();
  await until('two memories in the archive', async () => (await archived()).length === 2, 40_000);

  await sandbox.connect();
  expect(await goesOn(sandbox, pid)).toBe(true);
  const copies = await Promise.all([1, 2].map(async () => await Sandbox.create(snapshotId, connection)));
  for (const copy of copies) expect(await goesOn(copy, pid)).toBe(true);
  // Archived again as soon as nobody uses it.
  await until('the snapshot in the archive again', async () => (await archived()).length > 0, 40_000);
  await Sandbox.deleteSnapshot(snapshotId, connection);
  for (const each of [sandbox, ...copies]) await each.kill();
  await until('an empty archive', async () => (await archived()).length === 0, 10_000);
}, 120_000);
