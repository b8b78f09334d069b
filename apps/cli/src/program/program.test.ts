import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findProcess, removeTree } from '@soulbox/base';
import { runCli } from '../testing/run-cli.ts';
import { runInProcess } from '../testing/run-in-process.ts';

test('--help shows every command and a first example', async () => {
  const { code, stdout } = await runCli(['--help']);
  expect(code).toBe(0);
  for (const word of [
    'up',
    'down',
    'status',
    'env',
    'doctor',
    'setup',
    'key',
    'template',
    'sandbox',
    'snapshot',
    'events',
    'webhook',
    'EXAMPLE',
    'Sandbox.create',
  ]) {
    expect(stdout).toContain(word);
  }
});

test.each([
  [['up', '--help'], '--tls-port'],
  [['key', '--help'], 'revoke'],
  [['key', 'create', '-h'], 'NAME'],
  [['sandbox', 'pause', '--help'], 'soulbox sandbox pause ID --disk-only'],
  [['template', 'import', '--help'], 'docker://IMAGE'],
  [['--version'], '0.1.0'],
])('%j shows its help without terminal colors', async (args, word) => {
  const { code, stdout, stderr } = await runInProcess(args);
  expect(code).toBe(0);
  expect(stdout).toContain(word);
  expect(stdout).not.toContain('\x1b');
  expect(stderr).toBe('');
});

test('without a command it shows the help and fails', async () => {
  const { code, stdout } = await runInProcess([]);
  expect(code).toBe(2);
  expect(stdout).toContain('USAGE');
});

test.each([
  [['bogus'], /Unknown command "bogus"/],
  [['key', 'bogus'], /Unknown command "bogus"\. Commands: create, list, rename, budget, revoke/],
  [['toString'], /Unknown command "toString"/],
  [['--bogus'], /Unknown option '--bogus'/],
  [['status', '--bogus'], /Unknown option '--bogus'/],
  [['down', '--keep-sandboxs'], /Unknown option '--keep-sandboxs'/],
  [['status', '--no-json'], /Unknown option '--no-json'/],
  [['status', 'extra'], /Unexpected argument "extra"/],
  [['status', '--data-dir'], /data-dir/],
  [['status', '--json=yes'], /json/],
  [['key', 'create'], /Missing argument NAME/],
  [['key', 'create', 'a', 'b'], /Unexpected argument "b"/],
  [['key', 'create', 'a\nb'], /NAME must have/],
  [['key', 'create', 'x'.repeat(101)], /NAME must have/],
  [['template', 'import', 'name'], /Missing argument SOURCE/],
  [['template', 'import', 'name', 'tar:/x', '--tls-verify', 'maybe'], /--tls-verify must be true or false/],
  [['template', 'import', 'name', 'tar:/x', '--cpus', '0'], /--cpus must be a whole number from 1 to 64/],
  [['up', '--port', 'abc'], /--port must be a whole number from 0 to 65535, not "abc"/],
  [['up', '--port', '65536'], /--port/],
  [['up', '--port', '-1'], /port/],
  [['up', '--port', '1e3'], /--port/],
  [['up', '--instance', '15'], /--instance must be a whole number from 0 to 14/],
  [['up', '--isolation', 'vm'], /--isolation must be container or gvisor, not "vm"/],
  [['template', 'import', 'name', 'tar:/x', '--isolation', ''], /--isolation must be container or gvisor/],
  [['sandbox', 'pause'], /Missing argument SANDBOX/],
  [['sandbox', 'fork', 'x', '--count', '0'], /--count must be a whole number from 1 to 100/],
  [['sandbox', 'fork', 'x', '--count', '101'], /--count must be a whole number from 1 to 100/],
  [['sandbox', 'create', '--isolation', 'none'], /--isolation must be container or gvisor, not "none"/],
  [['sandbox', 'create', '--on-timeout', ''], /--on-timeout must be kill or pause/],
  [['sandbox', 'list', '--state', 'ended'], /--state must be running or paused/],
  [['sandbox', 'resume', 'x', '--timeout', '0'], /--timeout must be a whole number/],
  [['sandbox', 'exec', 'x'], /Missing argument COMMAND/],
  [['sandbox', 'exec', 'x', '--bogus', 'ls', '-l'], /Unknown option '--bogus'/],
  [['sandbox', 'exec', '-d', '-i', 'x', 'ls'], /--detach cannot be used with --interactive/],
  [['sandbox', 'exec', '--timeout', '0', 'x', 'ls', '--timeout', '1'], /--timeout must be a whole number/],
  [['sandbox', 'connect', 'x', '--detach-keys', 'q,'], /--detach-keys must be/],
  [['sandbox', 'connect', 'x', '--attach', '1', '--user', 'root'], /--user is for new shells/],
  [['sandbox', 'attach', 'x', '1', '--from=-1'], /--from must be a position/],
  [['sandbox', 'port-forward', 'x', '80', '1:0'], /A port must be LOCAL:REMOTE or PORT/],
  [['snapshot', 'delete'], /Missing argument SNAPSHOT/],
  [['events', '--after', '-1'], /after/],
  [['webhook', 'create'], /Missing argument URL/],
])('%j is refused as a usage error', async (args, message) => {
  const { code, stdout, stderr } = await runInProcess(args);
  expect(stderr).toMatch(message);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stdout).toBe('');
  expect(code).toBe(2);
});

test('with --json an error is JSON too', async () => {
  const { code, stderr } = await runCli(['env', '--json', '--data-dir', '/proc/nowhere/at/all']);
  expect(code).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({ error: { reason: 'host_not_ready' } });
});

test('doctor prints its findings and what is not protected', async () => {
  const { stdout } = await runCli(['doctor']);
  expect(stdout).toMatch(/Control groups: cgroup v[12]/);
  expect(stdout).toMatch(/Isolation "container": works: root, kernel/);
  // If runsc is installed, the test inside and outside of it is shown.
  expect(stdout).toMatch(/Isolation "gvisor": (?:works: .*isolation check of gVisor \(Linux version|.*runsc)/);
  expect(stdout).toContain('Not protected');
  // As after an SSH process that ended again and again. The file is that of a living server.
  const dataDirectory = await mkdtemp(join(tmpdir(), 'cli-doctor-'));
  const server = { ...findProcess(process.pid), instance: 14, host: '127.0.0.1', port: 1, tlsPort: 0, state: 'ready' };
  await mkdir(join(dataDirectory, 'run'));
  await writeFile(join(dataDirectory, 'run/server.json'), JSON.stringify({ ...server, givenUp: ['ssh'], client: {} }));
  const json = await runCli(['doctor', '--json', '--data-dir', dataDirectory]);
  await removeTree(dataDirectory);
  const report = JSON.parse(json.stdout) as { ok: boolean; findings: unknown[]; protection: object };
  expect(report.findings).toContainEqual(expect.objectContaining({ id: 'part_ssh', status: 'warn' }));
  expect(report.findings.length).toBeGreaterThan(25);
  expect(json.code).toBe(report.ok ? 0 : 1);
});
