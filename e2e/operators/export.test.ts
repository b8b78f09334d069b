import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { listHostTraces, makeTestDirectory, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { checkSandbox, connectionOf, fillSandbox } from '../harness/drill.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

/** Both have the same templates, as two hosts with copies of one template store have. */
const [instance, otherInstance] = [8, 9];
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const isolation = { SOULBOX_ISOLATION: shared.isolation };
let folder: string;
let here: ServerProcess;
let there: ServerProcess;
const servers: ServerProcess[] = [];
let sandbox: Sandbox;
let file: string;

const at = async (server: ServerProcess, ...args: string[]): Promise<Output> =>
  await runNode([cliMain, ...args], server.clientEnvironment);

beforeAll(async () => {
  folder = await makeTestDirectory('export-');
  file = join(folder, 'sandbox.soulbox');
  here = await startServer({ instance, poolSize: 0, environment: isolation });
  servers.push(here);
  sandbox = await Sandbox.create('base', { ...connectionOf(here), timeoutMs: 600_000, metadata: { drill: 'yes' } });
  await fillSandbox(sandbox);
  const exported = await at(here, 'sandbox', 'export', sandbox.sandboxId, '--memory', '--output', file);
  expect(exported, exported.stderr).toMatchObject({ code: 0, stdout: `${file}\n` });
  const shown = await at(here, 'inspect', file, '--json');
  const { key } = JSON.parse(shown.stdout) as { key: string };
  const environment = { ...isolation, SOULBOX_IMPORT_TRUSTED_KEYS: key };
  there = await startServer({ instance: otherInstance, poolSize: 0, environment });
  servers.push(there);
}, 120_000);
afterAll(async () => {
  for (const server of servers) {
    await server.stop();
    await removeTree(server.dataDirectory);
  }
  await removeTree(folder);
  expect([await listHostTraces(instance), await listHostTraces(otherInstance)]).toEqual([[], []]);
});

test('an export is a file that only its owner can read, and the sandbox continues', async () => {
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  await checkSandbox(sandbox, sandbox.sandboxId);
  const again = await at(here, 'sandbox', 'export', sandbox.sandboxId, '--output', file);
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('--force') as string]);
  expect((await readdir(folder)).sort()).toEqual(['sandbox.soulbox']);
});

test('the files of an export are read without a server, and compared with those of the sandbox', async () => {
  await sandbox.files.write('/home/user/later.txt', 'later');
  expect((await at(here, 'inspect', file, 'cat', '/home/user/kept.txt')).stdout).toBe(`kept by ${sandbox.sandboxId}`);
  const changes = await at(here, 'inspect', file, 'diff');
  expect(changes.stdout.split('\n')).toEqual(expect.arrayContaining(['- /etc/issue', '+ /etc/motd']));
  const differences = await at(here, 'diff', file, sandbox.sandboxId);
  expect(differences.stdout.split('\n'), differences.stderr).toEqual(
    expect.arrayContaining(['+ /home/user/later.txt', '+ /tmp/answer']),
  );
});

test(
  'another server that trusts the first makes a snapshot of it, with files and memory',
  { timeout: 60_000 },
  async () => {
    const imported = await at(there, 'import', file, '--name', 'arrived', '--memory', 'required');
    expect(imported, imported.stderr).toMatchObject({ code: 0, stdout: 'default/arrived:default\n' });
    const copy = await Sandbox.create('arrived', connectionOf(there));
    await checkSandbox(copy, sandbox.sandboxId);
    await copy.kill();
    // Signed by itself. Without the memory.
    const second = join(folder, 'second.soulbox');
    expect((await at(there, 'snapshot', 'export', 'arrived', '--output', second)).code).toBe(0);
    expect((await at(there, 'import', second, '--name', 'files')).code).toBe(0);
    const started = await Sandbox.create('files', connectionOf(there));
    expect(await started.files.read('/home/user/kept.txt')).toBe(`kept by ${sandbox.sandboxId}`);
    await started.kill();
    // The first server does not trust the second.
    const refused = await at(here, 'import', second);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('does not trust') as string]);
    await rm(second);
  },
);

test(
  'a file that was cut or altered is refused, and a kill in the middle leaves nothing',
  { timeout: 60_000 },
  async () => {
    const layers = async (): Promise<string[]> => (await readdir(join(there.dataDirectory, 'layers'))).sort();
    const before = await layers();
    const content = await readFile(file);
    const bad = join(folder, 'bad.soulbox');
    const altered = Buffer.from(content);
    altered.fill(1, content.length - 5000, content.length - 4900);
    for (const bytes of [content.subarray(0, content.length / 2), altered]) {
      await writeFile(bad, bytes);
      const refused = await at(there, 'import', bad);
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('The export file cannot be used')]);
    }
    expect(await layers()).toEqual(before);
    // The server dies while the rest of the file is awaited.
    const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = there.clientEnvironment;
    async function* half(): AsyncGenerator<Uint8Array> {
      yield content.subarray(0, content.length / 2);
      await until('the server is dead', async () => (await fetch(url).catch(() => undefined)) === undefined);
    }
    const sent = fetch(`${url}/imports`, {
      ...{ method: 'POST', headers: { 'x-api-key': key }, body: half() as never, duplex: 'half' },
    }).catch(() => undefined);
    await until('a layer is there', async () => (await layers()).length > before.length);
    await there.kill9();
    await sent;
    await there.restart();
    expect(await layers()).toEqual(before);
    expect(await Sandbox.listSnapshots(connectionOf(there)).nextItems()).toHaveLength(2);
  },
);
