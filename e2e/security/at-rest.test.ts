import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { nodeProgram, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { filesWith } from '../harness/files-with.ts';
import { needs } from '../harness/needs.ts';
import { server as shared } from '../harness/server.ts';

needs('checkpoint');

// A server of its own, because its keys are rotated and taken away.
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ instance: 2, environment: { SOULBOX_ISOLATION: shared.isolation }, poolSize: 0 });
});
afterAll(async () => {
  await server.stop();
  await rm(server.dataDirectory, { recursive: true });
});

const env = (name: string): string => server.clientEnvironment[name] ?? '';
const connection = () => ({
  apiUrl: env('E2B_API_URL'),
  sandboxUrl: env('E2B_SANDBOX_URL'),
  apiKey: env('E2B_API_KEY'),
});
const keysFile = (): string => join(server.dataDirectory, 'runner-keys.json');
const newCanary = (): string => `canary${randomBytes(10).toString('hex')}`;
const filesOf = async (canary: string): Promise<string[]> => await filesWith(server.dataDirectory, canary);

const run = promisify(execFile);
const soulbox = async (...args: string[]): Promise<string> => {
  const main = join(import.meta.dirname, '../../apps/cli/bin/soulbox.mjs');
  return (await run(nodeProgram, [main, ...args, '--data-dir', server.dataDirectory])).stdout;
};

/** A sandbox with secrets where tenants put them. */
async function makeSandbox() {
  const [atCreate, ofCommand, inMemory] = [newCanary(), newCanary(), newCanary()];
  const sandbox = await Sandbox.create({ ...connection(), envs: { AT_CREATE: atCreate } });
  await sandbox.files.write('/home/user/file.txt', 'content');
  // The shell puts it together, so that only its memory has it, often enough to fill pages.
  const halves = `a=${inMemory.slice(0, 10)}; b=${inMemory.slice(10)}`;
  const fill = `${halves}; for i in $(seq 500); do y="$y $a$b $i"; done; echo ready; while :; do sleep 1; done`;
  const ready = Promise.withResolvers<undefined>();
  await sandbox.commands.run(fill, {
    ...{ background: true, envs: { OF_COMMAND: ofCommand }, timeoutMs: 0 },
    onStdout: (text) => {
      if (text.includes('ready')) ready.resolve(undefined);
    },
  });
  await ready.promise;
  return { sandbox, canaries: { atCreate, ofCommand, inMemory } };
}

/** What a resumed sandbox still has. */
async function expectWhole(sandbox: Sandbox, { atCreate, ofCommand }: Record<'atCreate' | 'ofCommand', string>) {
  expect((await sandbox.commands.run('echo $AT_CREATE')).stdout).toBe(`${atCreate}\n`);
  const environments = await sandbox.commands.run('cat /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"');
  expect(environments.stdout).toContain(ofCommand);
  expect(await sandbox.files.read('/home/user/file.txt')).toBe('content');
}

test('memory and variables of running, paused and saved sandboxes are nowhere readable in the data folder', async () => {
  const { sandbox, canaries } = await makeSandbox();
  const found = async (): Promise<string[][]> => await Promise.all(Object.values(canaries).map(filesOf));
  expect(await found()).toEqual([[], [], []]);
  const { snapshotId } = await sandbox.createSnapshot(connection());
  expect(await found()).toEqual([[], [], []]);
  await sandbox.pause();
  expect(await found()).toEqual([[], [], []]);
  const resumed = await Sandbox.connect(sandbox.sandboxId, connection());
  await expectWhole(resumed, canaries);
  const copy = await Sandbox.create(snapshotId, connection());
  await expectWhole(copy, canaries);
  expect(await found()).toEqual([[], [], []]);
  for (const each of [resumed, copy]) await each.kill();
  await Sandbox.deleteSnapshot(snapshotId, connection());
});

test('literal headers of rules, passwords of proxies and keys of sandbox CAs are nowhere readable either', async () => {
  const [header, password] = [newCanary(), newCanary()];
  const ofTheServer = await filesOf('PRIVATE KEY');
  const sandbox = await Sandbox.create({
    ...connection(),
    network: {
      rules: { 'ruled.test': [{ transform: { headers: { 'x-api-key': header } } }] },
      egressProxy: { address: '45.67.93.5:1080', username: 'someone', password },
    },
  });
  // Its CA exists: the sandbox trusts it.
  expect(await sandbox.files.list('/etc/soulbox-egress')).not.toEqual([]);
  const found = async (): Promise<string[]> => {
    const keys = (await filesOf('PRIVATE KEY')).filter((path) => !ofTheServer.includes(path));
    return [...(await filesOf(header)), ...(await filesOf(password)), ...keys];
  };
  expect(await found()).toEqual([]);
  const { snapshotId } = await sandbox.createSnapshot(connection());
  await sandbox.pause();
  expect(await found()).toEqual([]);
  await Sandbox.connect(sandbox.sandboxId, connection());
  expect(await found()).toEqual([]);
  await sandbox.kill();
  await Sandbox.deleteSnapshot(snapshotId, connection());
});

test('a sandbox that was paused before a rotation and a restart is resumed after it', async () => {
  const { sandbox, canaries } = await makeSandbox();
  await sandbox.pause();
  expect(await soulbox('key', 'rotate-master')).toMatch(/Re-wrapped [1-9] data keys with file:/);
  await server.stop();
  await server.restart();
  await expectWhole(await Sandbox.connect(sandbox.sandboxId, connection()), canaries);
  await sandbox.kill();
});

test('without the keys of the runner, the server does not start, names the file, and loses nothing', async () => {
  const { sandbox, canaries } = await makeSandbox();
  await sandbox.pause();
  await server.stop();
  await rename(keysFile(), `${keysFile()}.kept`);
  await expect(server.restart()).rejects.toThrow(/data keys .*runner-keys\.json is missing, but .* is encrypted/);
  await expect(access(keysFile())).rejects.toThrow('ENOENT');
  await rename(`${keysFile()}.kept`, keysFile());
  await server.restart();
  await expectWhole(await Sandbox.connect(sandbox.sandboxId, connection()), canaries);
  await sandbox.kill();
});
