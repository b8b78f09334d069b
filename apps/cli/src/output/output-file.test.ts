import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli, runCliAtTerminal } from '../testing/run-cli.ts';
import { startScriptedApi } from '../testing/scripted-api.ts';

const run = promisify(execFile);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cli-output-'));
});
afterAll(async () => await removeTree(folder));

const entry = { timestamp: '2026-01-01T00:00:00.000Z', level: 'error', message: 'broken', fields: {} };
const logs = { status: 200, body: { logs: [entry] } };

test('--output writes what a command reads into a file, which it replaces only when told to', async () => {
  await using api = await startScriptedApi([logs, { status: 404, body: { message: 'gone' } }, logs]);
  const file = join(folder, 'log');
  const args = ['sandbox', 'logs', 'i1', '--output', file];
  // At a terminal, a line of this level has a color.
  expect(await runCliAtTerminal(args, api.environment)).toMatchObject({ code: 0, stdout: '' });
  expect(await readFile(file, 'utf8')).toBe('2026-01-01T00:00:00.000Z  error  broken\n');
  const refused = await runCli(args, api.environment);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain(`${file} exists. Replace it with --overwrite`);
  expect(api.seen).toHaveLength(1);
  expect((await runCli([...args, '--overwrite'], api.environment)).code).toBe(1);
  expect(await readFile(file, 'utf8')).toContain('broken');
  expect((await runCli([...args, '--overwrite', '--json'], api.environment)).code).toBe(0);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(entry);
  expect(await readdir(folder)).toEqual(['log']);
});

test('a full disk is an error, and leaves nothing', async () => {
  await using api = await startScriptedApi([
    { status: 200, body: { logs: [{ ...entry, message: 'x'.repeat(99_000) }] } },
  ]);
  const small = join(folder, 'small');
  await mkdir(small);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'soulbox-test', small]);
  try {
    const full = await runCli(['sandbox', 'logs', 'i1', '--output', join(small, 'log')], api.environment);
    expect(full).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('(disk_full)') as string });
    expect(await readdir(small)).toEqual([]);
  } finally {
    await run('umount', [small]);
  }
});

test('--output is refused where the output has no end, and without a file', async () => {
  const variables = { E2B_API_URL: 'http://127.0.0.1:1', E2B_API_KEY: 'e2b_test' };
  const followed = await runCli(['events', '--follow', '--output', join(folder, 'x')], variables);
  expect(followed).toMatchObject({ code: 2, stderr: expect.stringContaining('--follow') as string });
  await writeFile(join(folder, 'file'), '');
  const below = await runCli(['sandbox', 'list', '--output', join(folder, 'file/x')], variables);
  expect(below).toMatchObject({ code: 1, stdout: '' });
  expect(below.stderr).toContain('cannot be written');
});

test('NO_COLOR turns colors off at a terminal', async () => {
  await using api = await startScriptedApi([logs, logs]);
  const args = ['sandbox', 'logs', 'i1'];
  const colored = { ...api.environment, TERM: 'xterm-256color' };
  expect((await runCliAtTerminal(args, colored)).stdout).toContain('\x1b[31m');
  expect((await runCliAtTerminal(args, { ...colored, NO_COLOR: '1' })).stdout).not.toContain('\x1b');
});
