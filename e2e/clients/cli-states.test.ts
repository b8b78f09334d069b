import { Sandbox } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import { runCli } from '../harness/cli.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

/** The official CLI; it must succeed. */
async function cli(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['sandbox', ...args], server.plain);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

async function listIds(...args: string[]): Promise<string[]> {
  const listed = JSON.parse(await cli('list', '-f', 'json', ...args)) as { sandboxId: string }[];
  return listed.map(({ sandboxId }) => sandboxId);
}

/** Starts a process that only saved memory can bring back. Returns a function that shows that it is the same one. */
async function startWitness(sandbox: Sandbox): Promise<() => Promise<void>> {
  const { pid } = await sandbox.commands.run('sleep 4242', { background: true, timeoutMs: 0 });
  return async () => {
    expect((await sandbox.commands.run('pgrep -fx "sleep 4242"')).stdout).toBe(`${pid}\n`);
  };
}

test('the official CLI pauses, lists by state and resumes', async () => {
  const metadata = { test: `cli-${Date.now()}` };
  const own = ['-m', `test=${metadata.test}`];
  const sandbox = await createSandbox({ metadata });
  const { sandboxId } = sandbox;
  const expectSame = await startWitness(sandbox);
  expect(await listIds(...own)).toEqual([sandboxId]);
  expect(await listIds('-s', 'paused', ...own)).toEqual([]);

  expect(await cli('pause', sandboxId)).toMatch(/paused/i);
  expect((await sandbox.getInfo()).state).toBe('paused');
  expect(await listIds(...own)).toEqual([]);
  expect(await listIds('-s', 'paused', ...own)).toEqual([sandboxId]);
  expect(await listIds('-s', 'running,paused', ...own)).toEqual([sandboxId]);
  expect(await cli('info', sandboxId)).toMatch(/paused/i);
  expect(await cli('pause', sandboxId)).toMatch(/already paused/i);

  expect(await cli('resume', sandboxId)).toMatch(/resumed/i);
  expect((await sandbox.getInfo()).state).toBe('running');
  await expectSame();
  expect(await listIds('-s', 'paused', ...own)).toEqual([]);
});

test('the official CLI resumes what it executes in', async () => {
  const sandbox = await createSandbox();
  const expectSame = await startWitness(sandbox);
  await cli('pause', sandbox.sandboxId);
  expect(await cli('exec', sandbox.sandboxId, 'echo awake')).toBe('awake\n');
  await expectSame();
});

test('the official CLI makes, lists and deletes snapshots', { tags: ['long'] }, async () => {
  const sandbox = await createSandbox();
  await sandbox.files.write('kept.txt', 'kept');
  const name = `cli-${Date.now()}`;
  const made = await cli('snapshot', 'create', '-n', name, sandbox.sandboxId);
  const listed = JSON.parse(await cli('snapshot', 'list', '-f', 'json', sandbox.sandboxId)) as { snapshotId: string }[];
  expect(listed).toHaveLength(1);
  const snapshotId = listed[0]?.snapshotId ?? '';
  onTestFinished(async () => {
    await Sandbox.deleteSnapshot(snapshotId);
  });
  expect(made).toContain(snapshotId);
  expect(JSON.parse(await cli('snapshot', 'list', '-f', 'json', '-n', name))).toEqual(listed);

  const created = await cli('create', '-d', snapshotId);
  const copyId = /\bi[a-z0-9]{20}\b/.exec(created)?.[0] ?? '';
  onTestFinished(async () => {
    await Sandbox.kill(copyId);
  });
  expect(copyId).not.toBe(sandbox.sandboxId);
  expect(await cli('exec', copyId, 'cat kept.txt')).toBe('kept');

  await cli('snapshot', 'delete', snapshotId);
  expect(JSON.parse(await cli('snapshot', 'list', '-f', 'json', sandbox.sandboxId))).toEqual([]);
});

test.each([
  ['pause', 'i00000000000000000000'],
  ['resume', 'i00000000000000000000'],
  ['snapshot', 'create', 'i00000000000000000000'],
])('the official CLI reports that %s %s was not found', async (...args) => {
  const { code, stdout, stderr } = await runCli(['sandbox', ...args], server.plain);
  expect(stdout + stderr).toMatch(/not found|wasn't found|doesn't exist|404/i);
  expect(stderr).not.toMatch(/TypeError/);
  expect(code).toBeTypeOf('number');
});
