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
