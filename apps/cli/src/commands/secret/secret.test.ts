import { writeFile, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

const secret = { secretID: 'sec_1', name: 'token', currentVersion: 2, hosts: [] as string[] };

test('the value of a secret comes from a file or from standard input, without its last line break', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cli-secret-'));
  try {
    const file = join(directory, 'value');
    await writeFile(file, 'two\nlines\n');
    await using api = await startScriptedApi([
      { status: 201, body: secret },
      { status: 200, body: secret },
    ]);
    const made = await runCli(['secret', 'create', 'token', '--value-file', file], api.environment);
    expect(made.stdout).toBe('sec_1\n');
    expect(api.seen[0]).toMatchObject({ line: 'POST /secrets', body: { name: 'token', value: 'two\nlines' } });
    const changed = await runCli(['secret', 'update', 'a b', '--value-file', file], api.environment);
    expect(changed.stdout).toBe('token has version 2.\n');
    expect(api.seen[1]).toMatchObject({ line: 'POST /secrets/a%20b', body: { value: 'two\nlines' } });
    expect(made.stdout + made.stderr + changed.stdout + changed.stderr).not.toContain('lines');
    const missing = await runCli(['secret', 'create', 'token', '--value-file', `${file}.none`], api.environment);
    expect(missing.code).not.toBe(0);
    expect(api.seen).toHaveLength(2);
  } finally {
    await removeTree(directory);
  }
});

test('the hosts of a secret are given at its creation, changed, and listed', async () => {
  const hosts = ['api.example.com', '*.example.org'];
  const named = { ...secret, hosts };
  await using api = await startScriptedApi([
    { status: 201, body: named },
    { status: 200, body: named },
    { status: 200, body: secret },
    { status: 200, body: [named, secret] },
  ]);
  const args = ['secret', 'create', 'token', '--value-file', '/dev/null', '--host', 'api.example.com, *.example.org'];
  await runCli(args, api.environment);
  const changed = await runCli(['secret', 'set', 'token', '--host', hosts.join(',')], api.environment);
  expect(changed.stdout).toBe('token is sent to api.example.com, *.example.org only.\n');
  const opened = await runCli(['secret', 'set', 'token', '--any-host'], api.environment);
  expect(opened.stdout).toBe('token names no hosts.\n');
  expect(api.seen).toMatchObject([
    { line: 'POST /secrets', body: { name: 'token', value: '', hosts } },
    { line: 'PATCH /secrets/token', body: { hosts } },
    { line: 'PATCH /secrets/token', body: { hosts: [] } },
  ]);
  const list = await runCli(['secret', 'list'], api.environment);
  expect(list.stdout).toMatch(/HOSTS.*\n.*api\.example\.com,\*\.example\.org.*\n.* - /);
});

test.each([
  ['nothing', []],
  ['both', ['--host', 'a.example', '--any-host']],
  ['an empty name', ['--host', 'a.example,']],
])('soulbox secret set with %s is refused and changes nothing', async (_, args) => {
  await using api = await startScriptedApi([]);
  const refused = await runCli(['secret', 'set', 'token', ...args], api.environment);
  expect(refused.code).not.toBe(0);
  expect(api.seen).toEqual([]);
});
