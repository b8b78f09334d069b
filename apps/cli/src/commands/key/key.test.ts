import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';

let directory: string;
let key: (...args: string[]) => Promise<CliResult>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-key-'));
  const dataDirectory = join(directory, 'data');
  key = async (...args) => await runCli(['key', ...args, '--data-dir', dataDirectory]);
});
afterEach(async () => {
  await removeTree(directory);
});

interface ListedKey {
  readonly id: string;
  readonly name: string;
  readonly key: string;
}
const list = async (): Promise<ListedKey[]> => JSON.parse((await key('list', '--json')).stdout) as ListedKey[];

test('a key is created without a server; its value is shown once, and lists show a mask', async () => {
  const { code, stdout } = await key('create', 'laptop of Ärla');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^e2b_[0-9a-f]{40}\n$/);
  const [listed] = await list();
  expect(listed).toMatchObject({ name: 'laptop of Ärla', key: `${stdout.slice(0, 6)}...${stdout.trim().slice(-4)}` });
  expect(JSON.stringify(await list())).not.toContain(stdout.trim());
  expect((await key('list')).stdout).toContain('laptop of Ärla');
  expect((await stat(join(directory, 'data'))).mode & 0o777).toBe(0o700);
});

test('a key is revoked by name or by id', async () => {
  const made = JSON.parse((await key('create', 'one', '--json')).stdout) as { id: string };
  await key('create', 'two');
  expect((await key('revoke', made.id)).code).toBe(0);
  expect((await key('revoke', 'two', '--json')).stdout).toContain('"revoked":true');
  expect(await list()).toEqual([]);
});

test('a key can select the isolation of its sandboxes', async () => {
  expect((await key('create', 'walled', '--isolation', 'gvisor')).code).toBe(0);
  await key('create', 'open');
  const listed = JSON.parse((await key('list', '--json')).stdout) as { name: string; isolation: string | null }[];
  expect(listed.map(({ name, isolation }) => [name, isolation])).toEqual([
    ['walled', 'gvisor'],
    ['open', null],
  ]);
  expect((await key('list')).stdout).toMatch(/ISOLATION[\s\S]*gvisor/);
  const refused = await key('create', 'x', '--isolation', 'paper');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/container.*gvisor/);
});

test('a key gets a role, scopes, templates and an expiry, which lists show', async () => {
  const flags = ['--role', 'viewer', '--scope', 'run', '--scope=read', '--template', 'Base', '--template', 'own'];
  const before = Date.now();
  expect((await key('create', 'small', ...flags, '--expires', '30d')).code).toBe(0);
  const [listed] = JSON.parse((await key('list', '--json')).stdout) as [{ expiresAt: string }];
  expect(listed).toMatchObject({ role: 'viewer', scopes: ['run', 'read'], templates: ['base', 'own'] });
  const days = (Date.parse(listed.expiresAt) - before) / 86_400_000;
  expect(days).toBeGreaterThanOrEqual(30);
  expect(days).toBeLessThan(30.01);
  expect((await key('list')).stdout).toMatch(/SCOPES[\s\S]*run,read[\s\S]*base,own/);
  const made = JSON.parse((await key('create', 'open', '--json')).stdout) as object;
  expect(made).toMatchObject({ scopes: ['create', 'run', 'read', 'admin'], role: null, expiresAt: null });
  const until = JSON.parse((await key('create', 'dated', '--expires', '2099-01-31', '--json')).stdout) as object;
  expect(until).toMatchObject({ expiresAt: '2099-01-31T00:00:00.000Z' });
  const narrow = JSON.parse((await key('create', 'narrow', '--template', 'base', '--json')).stdout) as object;
  expect(narrow).toMatchObject({ scopes: ['create', 'run', 'read'] });
});

test.each([
  ['--role', 'root'],
  ['--scope', 'write'],
  ['--template', 'base:v1'],
  ['--template', '../x'],
  ['--expires', '0d'],
  ['--expires', '30'],
  ['--expires', '-1d'],
  ['--expires', '1y'],
  ['--expires', '2020-01-01'],
  ['--expires', '2099-13-01'],
  ['--expires', '999999d'],
])('a key is not created with %s %s', async (flag, value) => {
  const refused = await key('create', 'x', '--role', 'viewer', `${flag}=${value}`);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain(flag);
  expect(await list()).toEqual([]);
});

test('a key that is restricted to templates cannot have the scope admin', async () => {
  const refused = await key('create', 'x', '--role', 'admin', '--template', 'base');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('admin');
});

test('delete is another name of revoke', async () => {
  await key('create', 'one');
  expect((await key('delete', 'one')).code).toBe(0);
  expect(await list()).toEqual([]);
});

test('revoking gives the reason why it did nothing', async () => {
  await key('create', 'same');
  await key('create', 'same');
  const ambiguous = await key('revoke', 'same');
  expect(ambiguous).toMatchObject({ code: 1, stdout: '' });
  expect(ambiguous.stderr).toContain('2 keys are named "same"');
  const missing = await key('revoke', "x' OR 1=1 --");
  expect(missing.code).toBe(1);
  expect(missing.stderr).toContain('key_not_found');
  expect(await list()).toHaveLength(2);
});

test('a file with a master key is created once, for its owner only, and its key is not printed', async () => {
  const file = join(directory, 'keys', 'master-key');
  const { code, stdout } = await runCli(['key', 'create-master', file]);
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^file:[0-9a-f]{16}\n$/)]);
  const content = await readFile(file, 'utf8');
  expect(content).toContain(stdout.trim());
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const again = await runCli(['key', 'create-master', file]);
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toContain('file_exists');
  expect(await readFile(file, 'utf8')).toBe(content);
});

test('a rotation says why it cannot begin, and creates nothing', async () => {
  const before = await key('rotate-master');
  expect(before.code).toBe(1);
  expect(before.stderr).toContain('Start the server once');
  await expect(stat(join(directory, 'data', 'control'))).rejects.toThrow('ENOENT');
  const wrong = await runCli(['key', 'rotate-master'], { SOULBOX_MASTER_KEY: 'pkcs11' });
  expect(wrong.stderr).toContain('pkcs11 needs SOULBOX_PKCS11_MODULE');
});

test('budgets of a key are set, replaced and removed one by one', async () => {
  const { id } = JSON.parse((await key('create', 'one', '--json')).stdout) as { id: string };
  const set = await key('budget', id, '--set', 'cpu-seconds/day=60', '--set', 'sandboxes/total=9', '--json');
  expect(JSON.parse(set.stdout)).toEqual([
    { kind: 'cpu_seconds', period: 'day', amount: 60 },
    { kind: 'sandboxes', period: 'total', amount: 9 },
  ]);
  await key('budget', id, '--set', 'cpu_seconds/day=none', '--set', 'sandboxes/total=8');
  expect((await key('budget', id)).stdout).toMatch(/^sandboxes +total +8$/m);
  expect((await key('budget', id)).stdout).not.toContain('cpu_seconds');
  for (const change of ['cpu_seconds=1', 'cpu_seconds/week=1', 'money/day=1', 'sandboxes/day=-1', 'sandboxes/day='])
    expect([change, (await key('budget', id, '--set', change)).code]).toEqual([change, 2]);
  expect((await key('budget', 'unknown', '--set', 'sandboxes/day=1')).stderr).toContain('(key_not_found)');
});
