/** @module-tag violation */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { askApi, openSshBench } from '../harness/ssh.ts';
import type { SshBench } from '../harness/ssh.ts';
import { until } from '../harness/until.ts';

let bench: SshBench;
beforeAll(async () => {
  bench = await openSshBench();
  bench.makeKey('other');
});
afterAll(async () => await bench[Symbol.asyncDispose]());

test('a command has its own output, errors and status', () => {
  expect(bench.ssh(['@', 'echo out; echo err >&2; exit 7'])).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
  expect(bench.ssh(['@', 'kill -9 $$']).status).toBe(255);
  expect(bench.ssh(['@', `printf '%s|' "$HOME" 'a  b' '"' "$0"`]).stdout).toBe('/home/user|a  b|"|/bin/bash|');
});

test('every byte passes in both directions, and the end of the input too', () => {
  const input = randomBytes(3_000_000);
  const { stdout, status } = bench.ssh(['@', 'cat'], { input: input.toString('latin1') });
  const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  expect([status, digestOf(Buffer.from(stdout, 'latin1'))]).toEqual([0, digestOf(input)]);
});

test('a terminal is one, with its name and without other variables of the client', () => {
  const script = 'tty; echo "$TERM/$LC_X/$LD_PRELOAD"; exit 3\n';
  const set = ['-o', 'SetEnv=LC_X=y LD_PRELOAD=/evil.so'];
  const { status, stdout } = bench.ssh(['-tt', ...set, '@'], { input: script });
  expect([status, stdout]).toEqual([3, expect.stringMatching(/\/dev\/pts\/\d+\r\n[\w-]+\/y\/\r\n/)]);
});

test('what a client that vanishes has started in a terminal ends', async () => {
  const marker = `sleep 98${String(process.pid)}`;
  const client = spawn('ssh', [...bench.with('id'), '-p', String(bench.port), '-tt', bench.at, marker], {
    stdio: 'ignore',
  });
  const runs = async (): Promise<boolean> =>
    (await bench.sandbox.commands.list()).some(({ args }) => args.join(' ').includes(marker));
  await until('the command', runs);
  client.kill('SIGKILL');
  await until('its end', async () => !(await runs()));
});

test('every other reason is refused with the same words', async () => {
  const dead = await Sandbox.create({ timeoutMs: 60_000 });
  await dead.kill();
  const tries = [
    bench.ssh(['@', 'true'], { identity: 'other' }),
    ...[dead.sandboxId, 'iaaaaaaaaaaaaaaaaaaaa', 'root'].map((name) =>
      bench.ssh(['@', 'true'], { user: `${name}@127.0.0.1` }),
    ),
  ];
  for (const { status, stderr } of tries)
    expect([status, stderr.replace(/^\S+ /, '')]).toEqual([255, 'Permission denied (publickey).\r\n']);
});

test('scp and sftp of Debian copy files and folders, byte for byte', () => {
  const content = randomBytes(2_000_000);
  mkdirSync(join(bench.folder, 'tree', 'ä b'), { recursive: true });
  writeFileSync(join(bench.folder, 'tree', 'ä b', 'file'), content, { mode: 0o640 });
  const copy = (...args: readonly string[]) =>
    spawnSync('scp', [...bench.with('id'), '-P', String(bench.port), '-rp', ...args], {
      encoding: 'utf8',
      timeout: 30_000,
    });
  expect(copy(join(bench.folder, 'tree'), `${bench.at}:up`)).toMatchObject({ status: 0, stderr: '' });
  expect(bench.ssh(['@', "stat -c '%a %U %s' 'up/ä b/file'"]).stdout).toBe(`640 user ${String(content.length)}\n`);
  expect(copy(`${bench.at}:up`, join(bench.folder, 'down'))).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(bench.folder, 'down', 'ä b', 'file')).equals(content)).toBe(true);
  const batch = spawnSync('sftp', [...bench.with('id'), '-P', String(bench.port), '-b', '-', bench.at], {
    ...{ input: 'pwd\nput /etc/hostname name\nls -l name\n-get /etc/shadow\n', encoding: 'utf8', timeout: 30_000 },
  });
  expect([batch.status, batch.stdout]).toEqual([0, expect.stringMatching(/\/home\/user\n[\s\S]* name\n/)]);
  expect(batch.stderr).toContain('Permission denied');
});

test('a paused sandbox is woken', async () => {
  await bench.sandbox.commands.run('echo kept > /tmp/kept');
  await bench.sandbox.pause();
  expect(bench.ssh(['@', 'cat /tmp/kept']).stdout).toBe('kept\n');
});

test('a removed key ends its connections and opens nothing any more', async () => {
  const publicKey = bench.makeKey('removed');
  const { sshKeyID } = (await askApi('POST', '/ssh-keys', { publicKey })) as { sshKeyID: string };
  const client = spawn('ssh', [...bench.with('removed'), '-p', String(bench.port), bench.at, 'echo in; sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(client.stdout, 'data');
  const ended = once(client, 'exit');
  await askApi('DELETE', `/ssh-keys/${sshKeyID}`);
  await ended;
  expect(bench.ssh(['@', 'true'], { identity: 'removed' }).status).toBe(255);
});
