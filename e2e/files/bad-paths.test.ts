import { existsSync } from 'node:fs';
import { SandboxError } from 'e2b';
import { beforeAll, describe, expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

const sandbox = sharedSandbox();
const traps = '/home/user/traps';

// Links that a hostile program inside can create. None of them may lead a call out of the sandbox.
// (Inside the sandbox envd works as root, as E2B's does, and the user may do so too.)
const links: Readonly<Record<string, string>> = {
  root: '/proc/self/root',
  'init-root': '/proc/1/root',
  cwd: '/proc/self/cwd',
  fd: '/proc/self/fd',
  passwd: '/etc/passwd',
  shadow: '/etc/shadow',
  up: '../../../..',
  loop: 'loop',
  ping: 'pong',
  pong: 'ping',
  runtime: '/.soulbox',
};

beforeAll(async () => {
  const plant = Object.entries(links).map(([name, target]) => `ln -sfn '${target}' ${traps}/${name}`);
  await sandbox().commands.run([`mkdir -p ${traps}`, ...plant].join(' && '));
});

/** The outcome of a call as text: its result or its error. */
async function outcome(call: Promise<unknown>): Promise<string> {
  return await call.then(
    (value) => `gave: ${JSON.stringify(value)}`,
    (error: unknown) => `failed: ${(error as Error).message}`,
  );
}

describe.each(Object.keys(links))('the planted link %s', (name) => {
  const path = `${traps}/${name}`;

  test('does not show the host through any file call', async () => {
    const { files } = sandbox();
    const inside = (await sandbox().commands.run('hostname')).stdout;
    const results = await Promise.all([
      outcome(files.read(path)),
      outcome(files.read(`${path}/etc/hostname`)),
      outcome(files.list(path)),
      outcome(files.list(`${path}${server.dataDirectory}`)),
      outcome(files.getInfo(path)),
      outcome(files.exists(`${path}${server.dataDirectory}`)),
      outcome(files.read(`${path}${server.dataDirectory}/secrets/default-api-key`)),
      outcome(files.read(`${path}/etc/hostname`, { user: 'root' })),
    ]);
    expect(results.join('\n')).not.toMatch(/e2b_[0-9a-f]{16}|records\.sqlite/);
    for (const hostname of [results[1], results[7]])
      expect(hostname === `gave: ${JSON.stringify(inside)}` || hostname.startsWith('failed: '), hostname).toBe(true);
    expect(results[5]).toMatch(/false|failed/);
  });

  test('lets writes go only into this sandbox', async () => {
    const { files } = sandbox();
    const name = `/etc/planted-${sandbox().sandboxId}`;
    await outcome(files.write(`${path}${name}`, 'x'));
    await outcome(files.makeDir(`${path}${name}.d/e`));
    await outcome(files.rename(`${path}${name}`, `${path}${name}.moved`));
    for (const left of [name, `${name}.d`, `${name}.moved`]) {
      expect(existsSync(left)).toBe(false);
      await outcome(files.remove(`${path}${left}`));
    }
  });

  test('can be removed, and its target stays', async () => {
    await sandbox().files.remove(path);
    expect(await sandbox().files.exists('/etc/passwd')).toBe(true);
    await sandbox().commands.run(`ln -sfn '${links[name] ?? ''}' ${path}`);
  });
});

test('a loop of links is reported as such', async () => {
  await expect(sandbox().files.list(`${traps}/ping`)).rejects.toThrow(SandboxError);
  await expect(sandbox().files.read(`${traps}/ping`)).rejects.toThrow(SandboxError);
});

test.each(['../../../../etc/passwd', '/home/user/../../etc/passwd', '~/../../etc/passwd', './/..//../etc/passwd'])(
  'the path %s stays inside',
  async (path) => {
    expect(await sandbox().files.read(path)).toContain('user:');
  },
);

test.each([
  ['a NUL', '/home/user/a\u0000b'],
  ['10,000 characters', `/home/user/${'x'.repeat(10_000)}`],
  ['a name of 300 characters', `/home/user/${'x'.repeat(300)}`],
])('a path with %s is refused by every call', async (_name, path) => {
  const { files } = sandbox();
  await expect(files.write(path, 'x')).rejects.toThrow();
  await expect(files.read(path)).rejects.toThrow();
  await expect(files.makeDir(path)).rejects.toThrow();
  await expect(files.list(path)).rejects.toThrow();
  await expect(files.rename(path, '/home/user/y')).rejects.toThrow();
  await expect(files.watchDir(path, () => undefined)).rejects.toThrow();
});

test.each(['new\nline', 'quote"\'`$(id)', ' leading and trailing ', '-rf', '*?[a]', '\u202Eright-to-left', '%2e%2e'])(
  'the name %j has no special meaning',
  async (name) => {
    const path = `/home/user/names/${name}`;
    await sandbox().files.write(path, name);
    expect(await sandbox().files.read(path)).toBe(name);
    expect((await sandbox().files.list('/home/user/names')).map((entry) => entry.name)).toContain(name);
    await sandbox().files.remove(path);
    expect(await sandbox().files.exists(path)).toBe(false);
  },
);

test('endless files and files that never deliver a byte do not block envd', async () => {
  await sandbox().commands.run('mkfifo /tmp/fifo; mkdir -p /tmp/sock');
  for (const path of ['/tmp/fifo', '/dev/zero', '/proc/kmsg']) {
    const read = sandbox().files.read(path, { requestTimeoutMs: 3000 });
    await expect(read, path).rejects.toThrow();
  }
  await expect(sandbox().files.write('/tmp/fifo', 'x', { requestTimeoutMs: 3000 })).rejects.toThrow();
  expect((await sandbox().commands.run('echo fine')).stdout).toBe('fine\n');
});

test('a folder that is replaced by a link while envd walks it does not harm envd', async () => {
  const race = `import os, shutil, time
end = time.time() + 3
while time.time() < end:
  try:
    os.makedirs('/home/user/race/dir', exist_ok=True); open('/home/user/race/dir/f', 'w').close()
    shutil.rmtree('/home/user/race/dir'); os.symlink('/etc', '/home/user/race/dir'); os.unlink('/home/user/race/dir')
  except OSError: pass`;
  await sandbox().files.write('/home/user/race.py', race);
  const racing = await sandbox().commands.run('python3 /home/user/race.py', { background: true });
  const until = Date.now() + 2500;
  while (Date.now() < until) {
    await outcome(sandbox().files.remove('/home/user/race/dir'));
    await outcome(sandbox().files.list('/home/user/race', { depth: 3 }));
  }
  await racing.wait();
  expect((await sandbox().commands.run('echo fine', { cwd: '/' })).stdout).toBe('fine\n');
});
