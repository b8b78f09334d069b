import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree, run } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import type { CliResult } from '../../testing/run-cli.ts';

let directory: string;
let archive: string;
let template: (...args: string[]) => Promise<CliResult>;

beforeEach(async () => {
  await run('mkdir', ['-p', '--mode=700', '/var/lib/soulbox-test']);
  directory = await mkdtemp('/var/lib/soulbox-test/cli-');
  archive = join(directory, 'image.tar');
  await writeFile(join(directory, 'hello'), 'hello');
  await run('tar', ['-cf', archive, '-C', directory, 'hello']);
  template = async (...args) => await runCli(['template', ...args, '--data-dir', directory]);
});
afterEach(async () => {
  await removeTree(directory);
});

test('a template is imported, listed, replaced and removed', { timeout: 120_000 }, async () => {
  expect((await template('list', '--host', '--json')).stdout).toBe('[]\n');
  const imported = await template('import', 'mine', `tar:${archive}`, '--memory-mb', '256', '--json');
  expect(imported.code).toBe(0);
  const made = JSON.parse(imported.stdout) as { templateId: string };
  expect(made).toMatchObject({ names: ['mine'], memoryMb: 256, cpuCount: 2, defaultUser: 'user' });
  expect((await template('list', '--host')).stdout).toMatch(new RegExp(`${made.templateId}  mine .*256 MiB`));

  const taken = await template('import', 'mine', `tar:${archive}`);
  expect(taken.code).toBe(1);
  expect(taken.stderr).toContain('--force');
  expect((await template('import', 'mine', `tar:${archive}`, '--force')).code).toBe(0);
  expect((await template('list', '--host')).stdout).toContain('(replaced)');

  expect((await template('remove', made.templateId)).code).toBe(0);
  expect((await template('remove', 'mine')).code).toBe(0);
  expect((await template('list', '--host', '--json')).stdout).toBe('[]\n');
});

test.each([
  [['import', '../mine', 'tar:/x'], 'bad_request'],
  [['import', 'mine', 'ftp://x'], 'bad_request'],
  [['import', 'mine', 'tar:/no/such/file'], 'file_not_found'],
  [['remove', 'nothing'], 'template_not_found'],
  [['remove', '../..'], 'template_not_found'],
])('%j fails with a reason', async (args, reason) => {
  const { code, stderr, stdout } = await template(...args);
  expect(code).toBe(1);
  expect(stderr).toContain(`(${reason})`);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stdout).toBe('');
});
