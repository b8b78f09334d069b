/** @module-tag violation */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '@soulbox/testing';
import { removeTree } from '@soulbox/base';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiKey, apiUrl } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'soulbox-e2e-ssh-'));
let sandbox: Sandbox;
let options: string[];
let port: number;

async function ask(method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(apiUrl + path, {
    ...{ method, headers: { 'x-api-key': apiKey, 'content-type': 'application/json' } },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${path}: ${await answer.text()}`);
  return answer.status === 204 ? undefined : await answer.json();
}

function makeKey(name: string): string {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  return readFileSync(join(folder, `${name}.pub`), 'utf8');
}

beforeAll(async () => {
  await ask('POST', '/ssh-keys', { publicKey: makeKey('id') });
  makeKey('other');
  const server = (await ask('GET', '/ssh')) as { port: number; hostKey: string };
  ({ port } = server);
  const known = join(folder, 'known_hosts');
  writeFileSync(known, `soulbox ${server.hostKey}\n`);
  options = [
    ...['-F', 'none', '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'HostKeyAlias=soulbox'],
    ...['-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${known}`],
  ];
  sandbox = await Sandbox.create({ timeoutMs: 300_000 });
});
afterAll(async () => {
  await sandbox.kill();
  await removeTree(folder);
});

const at = (): string => `${sandbox.sandboxId}@127.0.0.1`;
const with_ = (identity: string): string[] => [...options, '-i', join(folder, identity)];

/** Runs ssh(1). Its output is read as latin1, so that every byte is one character. */
function ssh(args: readonly string[], { input = '', identity = 'id', user = at() } = {}) {
  const all = [...with_(identity), '-p', String(port), ...args];
  const given = all.map((arg) => (arg === '@' ? user : arg));
  const { status, stdout, stderr } = spawnSync('ssh', given, {
    input: Buffer.from(input, 'latin1'),
    encoding: 'latin1',
    timeout: 30_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr };
}

test('a command has its own output, errors and status', () => {
  expect(ssh(['@', 'echo out; echo err >&2; exit 7'])).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
  expect(ssh(['@', 'kill -9 $$']).status).toBe(255);
  expect(ssh(['@', `printf '%s|' "$HOME" 'a  b' '"' "$0"`]).stdout).toBe('/home/user|a  b|"|/bin/bash|');
});

test('every byte passes in both directions, and the end of the input too', () => {
  const input = randomBytes(3_000_000);
  const { stdout, status } = ssh(['@', 'cat'], { input: input.toString('latin1') });
  const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  expect([status, digestOf(Buffer.from(stdout, 'latin1'))]).toEqual([0, digestOf(input)]);
});

test('a terminal is one, with its name and without other variables of the client', () => {
  const script = 'tty; echo "$TERM/$LC_X/$LD_PRELOAD"; exit 3\n';
  const set = ['-o', 'SetEnv=LC_X=y LD_PRELOAD=/evil.so'];
  const { status, stdout } = ssh(['-tt', ...set, '@'], { input: script });
  expect([status, stdout]).toEqual([3, expect.stringMatching(/\/dev\/pts\/\d+\r\n[\w-]+\/y\/\r\n/)]);
});

test('what a client that vanishes has started in a terminal ends', async () => {
  const marker = `sleep 98${String(process.pid)}`;
  const client = spawn('ssh', [...with_('id'), '-p', String(port), '-tt', at(), marker], { stdio: 'ignore' });
  const runs = async (): Promise<boolean> =>
    (await sandbox.commands.list()).some(({ args }) => args.join(' ').includes(marker));
  await until('the command', runs);
  client.kill('SIGKILL');
  await until('its end', async () => !(await runs()));
});

test('every other reason is refused with the same words', async () => {
  const dead = await Sandbox.create({ timeoutMs: 60_000 });
  await dead.kill();
  const tries = [
    ssh(['@', 'true'], { identity: 'other' }),
    ...[dead.sandboxId, 'iaaaaaaaaaaaaaaaaaaaa', 'root'].map((name) =>
      ssh(['@', 'true'], { user: `${name}@127.0.0.1` }),
    ),
  ];
  for (const { status, stderr } of tries)
    expect([status, stderr.replace(/^\S+ /, '')]).toEqual([255, 'Permission denied (publickey).\r\n']);
});

test('a port of the sandbox is reached through a forwarded one', async () => {
  const inside = await sandbox.commands.run(
    'mkdir -p /tmp/www && cd /tmp/www && echo served > f && exec python3 -m http.server 8000',
    {
      background: true,
    },
  );
  const local = await findFreePort();
  const client = spawn(
    'ssh',
    [...with_('id'), '-p', String(port), '-N', '-L', `${String(local)}:localhost:8000`, at()],
    {
      stdio: 'ignore',
    },
  );
  const read = async (): Promise<string> =>
    await new Promise((resolve) => {
      get(`http://127.0.0.1:${String(local)}/f`, (answer) => {
        let text = '';
        answer.on('data', (piece) => (text += String(piece))).on('end', () => resolve(text));
      }).on('error', () => resolve(''));
    });
  await until('the file', async () => (await read()) === 'served\n');
  client.kill();
  await once(client, 'exit');
  await inside.kill();
});

test('scp and sftp of Debian copy files and folders, byte for byte', () => {
  const content = randomBytes(2_000_000);
  mkdirSync(join(folder, 'tree', 'ä b'), { recursive: true });
  writeFileSync(join(folder, 'tree', 'ä b', 'file'), content, { mode: 0o640 });
  const copy = (...args: readonly string[]) =>
    spawnSync('scp', [...with_('id'), '-P', String(port), '-rp', ...args], { encoding: 'utf8', timeout: 30_000 });
  expect(copy(join(folder, 'tree'), `${at()}:up`)).toMatchObject({ status: 0, stderr: '' });
  expect(ssh(['@', "stat -c '%a %U %s' 'up/ä b/file'"]).stdout).toBe(`640 user ${String(content.length)}\n`);
  expect(copy(`${at()}:up`, join(folder, 'down'))).toMatchObject({ status: 0, stderr: '' });
  expect(readFileSync(join(folder, 'down', 'ä b', 'file')).equals(content)).toBe(true);
  const batch = spawnSync('sftp', [...with_('id'), '-P', String(port), '-b', '-', at()], {
    ...{ input: 'pwd\nput /etc/hostname name\nls -l name\n-get /etc/shadow\n', encoding: 'utf8', timeout: 30_000 },
  });
  expect([batch.status, batch.stdout]).toEqual([0, expect.stringMatching(/\/home\/user\n[\s\S]* name\n/)]);
  expect(batch.stderr).toContain('Permission denied');
});

test('a paused sandbox is woken', async () => {
  await sandbox.commands.run('echo kept > /tmp/kept');
  await sandbox.pause();
  expect(ssh(['@', 'cat /tmp/kept']).stdout).toBe('kept\n');
});

test('a removed key ends its connections and opens nothing any more', async () => {
  const publicKey = makeKey('removed');
  const { sshKeyID } = (await ask('POST', '/ssh-keys', { publicKey })) as { sshKeyID: string };
  const client = spawn('ssh', [...with_('removed'), '-p', String(port), at(), 'echo in; sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(client.stdout, 'data');
  const ended = once(client, 'exit');
  await ask('DELETE', `/ssh-keys/${sshKeyID}`);
  await ended;
  expect(ssh(['@', 'true'], { identity: 'removed' }).status).toBe(255);
});
