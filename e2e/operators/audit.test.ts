import { execFile } from 'node:child_process';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { programEveryMs, until } from '../harness/until.ts';

const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
let server: ServerProcess;
let scratch: string;
const soulbox = async (...args: string[]): Promise<Output> =>
  await runNode([cliMain, 'audit', ...args, '--data-dir', server.dataDirectory], {});

interface ListedRecord {
  readonly action: string;
  readonly stage: string;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly target: { readonly id: string };
}
const list = async (): Promise<ListedRecord[]> =>
  (await soulbox('list', '--json')).stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ListedRecord);

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'soulbox-audit-'));
  server = await startServer({
    instance: ownInstance(),
    poolSize: 1,
    environment: { SOULBOX_ISOLATION: shared.isolation },
  });
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
  await removeTree(scratch);
});

test('what the official client does is recorded, exported, and verified offline; a change is found', async () => {
  const { E2B_API_KEY: apiKey = '', E2B_API_URL: apiUrl = '', E2B_SANDBOX_URL: sandboxUrl } = server.clientEnvironment;
  const connection = { apiKey, apiUrl, ...(sandboxUrl === undefined ? {} : { sandboxUrl }) };
  const sandbox = await Sandbox.create('base', { ...connection, envs: { TOKEN: 'a-secret-value' } });
  await sandbox.commands.run('true');
  await sandbox.files.list('/');
  const used = async (): Promise<ListedRecord[]> =>
    (await list()).filter(({ action, target }) => action.startsWith('envd.') && target.id === sandbox.sandboxId);
  await until('the records of its use', async () => (await used()).length === 2);
  expect((await used()).map(({ action, actor }) => `${action} ${actor.id}`).toSorted()).toEqual([
    'envd.files token',
    'envd.process token',
  ]);
  await sandbox.kill();
  const of = (records: readonly ListedRecord[]): string[] =>
    records
      .filter(({ action, target }) => !action.startsWith('envd.') && target.id === sandbox.sandboxId)
      .map(({ action, stage }) => `${action} ${stage}`);
  const wanted = ['sandbox.create outcome', 'sandbox.kill admitted', 'sandbox.kill outcome'];
  await until('the records of the sandbox', async () => of(await list()).length === wanted.length);
  expect(of(await list())).toEqual(wanted);

  const folder = join(scratch, 'export');
  await until(
    'the published log',
    async () => (await soulbox('verify')).stdout.includes(' records verified'),
    10_000,
    programEveryMs,
  );
  expect((await soulbox('export', folder, '--format', 'ocsf')).code).toBe(0);
  const { verifierKey } = JSON.parse(await readFile(join(folder, 'log.json'), 'utf8')) as { verifierKey: string };
  const verify = async () =>
    await promisify(execFile)(process.execPath, [join(folder, 'verify.mjs'), '--key', verifierKey]);
  expect(JSON.parse((await verify()).stdout)).toMatchObject({ faults: [], incomplete: 0 });
  const exported = await readFile(join(folder, 'records.ocsf.jsonl'), 'utf8');
  expect(exported).toContain(sandbox.sandboxId);
  expect(exported).not.toContain('a-secret-value');
  expect(exported).not.toContain(apiKey);
  const checkpoint = await readFile(join(folder, 'checkpoint'), 'utf8');
  await writeFile(join(folder, 'checkpoint'), checkpoint.replace(/^(.+)\n\d+\n/, '$1\n1\n'));
  await expect(verify()).rejects.toMatchObject({ code: 1 });
}, 120_000);

test("the log belongs to the server's own user, survives a restart, and the operator can erase beside the server", async () => {
  const before = (await list()).filter(({ action }) => action !== 'audit.read').length;
  await server.stop();
  await server.restart();
  expect((await list()).filter(({ action }) => action !== 'audit.read')).toHaveLength(before);
  const folder = join(server.dataDirectory, 'audit');
  expect((await stat(folder)).uid).not.toBe(0);
  const key = (await list()).find(({ actor }) => actor.kind === 'key')?.actor.id ?? '';
  expect(await soulbox('erase', key)).toMatchObject({ code: 0 });
  expect((await stat(join(folder, 'erased.jsonl'))).uid).toBe((await stat(folder)).uid);
  await until('the record of the erasure', async () => (await list()).some(({ action }) => action === 'privacy.erase'));
  expect(await soulbox('verify')).toMatchObject({ code: 0 });
}, 120_000);
