import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { access, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { nodeProgram, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, Template } from 'e2b';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { filesWith } from '../harness/files-with.ts';
import { needs } from '../harness/needs.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');
const hasFunctions = await hasTemplate('edge');

// A server of its own, because its keys are rotated and taken away.
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

const ask = async (method: string, path: string, body?: object): Promise<string> => {
  const answer = await fetch(env('E2B_API_URL') + path, {
    method,
    headers: { 'x-api-key': env('E2B_API_KEY'), 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const said = await answer.text();
  expect(answer.ok, said).toBe(true);
  return said;
};

test('files of COPY steps stay encrypted, and are unpacked by builds also after a rotation and a restart', async () => {
  const canary = newCanary();
  // Bytes that gzip does not change.
  const content = Buffer.concat([randomBytes(40_000), Buffer.from(canary), randomBytes(40_000)]);
  expect(gzipSync(content).includes(canary)).toBe(true);
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-copy-'));
  onTestFinished(async () => await rm(folder, { recursive: true }));
  await writeFile(join(folder, 'file'), content);
  const build = async (skipCache: boolean): Promise<void> => {
    const base = Template({ fileContextPath: folder });
    const template = (skipCache ? base.skipCache() : base).fromTemplate('base').copy('file', '/opt/file');
    await Template.build(template, 'at-rest', { ...connection(), cpuCount: 1, memoryMB: 256 });
    const sandbox = await Sandbox.create('at-rest', connection());
    const found = await sandbox.commands.run('sha256sum /opt/file');
    expect(found.stdout).toContain(createHash('sha256').update(content).digest('hex'));
    await sandbox.kill();
  };
  await build(false);
  expect(await readdir(join(server.dataDirectory, 'uploads'))).toHaveLength(1);
  expect(await filesOf(canary)).toEqual([]);
  await soulbox('key', 'rotate-master');
  await server.stop();
  await server.restart();
  await build(true);
  expect(await filesOf(canary)).toEqual([]);
});

test.skipIf(!hasFunctions)(
  'code, variables and values of functions stay encrypted; what an older version stored becomes so',
  async () => {
    const [ofCode, ofVariable, ofSecret, ofValue] = [newCanary(), newCanary(), newCanary(), newCanary()];
    const source = `export default {
    async fetch(request, env) {
      if (request.method === 'POST') await env.STORE.put('key', await request.text());
      return new Response([await env.STORE.get('key'), env.VARIABLE, env.SECRET, '${ofCode}'].join());
    },
  };`;
    const values = { environment: { VARIABLE: ofVariable }, secrets: { SECRET: ofSecret } };
    await ask('POST', '/functions', { name: 'at-rest', source, ...values, kv: { STORE: 'at-rest' } });
    const expected = [JSON.stringify({ ofValue }), ofVariable, ofSecret, ofCode].join();
    expect(await ask('POST', '/functions-http/at-rest/', { ofValue })).toBe(expected);
    const found = async (): Promise<string[]> =>
      (await Promise.all([ofCode, ofVariable, ofSecret, ofValue].map(filesOf))).flat();
    expect(await found()).toEqual([]);
    await server.stop();
    // As the version before left it.
    const bundle = `bundles~${createHash('sha256').update(source).digest('hex')}`;
    await writeFile(join(server.dataDirectory, 'control/functions', bundle), source);
    const db = new DatabaseSync(join(server.dataDirectory, 'control/records.sqlite'));
    db.exec("INSERT INTO pending_sealing VALUES ('blobs')");
    db.close();
    expect(await filesOf(ofCode)).toEqual([`control/functions/${bundle}`]);
    await server.restart();
    expect(await ask('GET', '/functions-http/at-rest/')).toBe(expected);
    await until('the old bundle is encrypted', async () => (await filesOf(ofCode)).length === 0);
    expect(await ask('GET', '/functions-http/at-rest/')).toBe(expected);
    await ask('DELETE', '/functions/at-rest');
  },
);

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
