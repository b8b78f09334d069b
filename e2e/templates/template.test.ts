import { expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';

const sandbox = sharedSandbox();

test.each([
  'bash',
  'sudo',
  'ls',
  'ps',
  'curl',
  'git',
  'python3',
  'python',
  'node',
  'npm',
  'ip',
  'ss',
  'tar',
  'gzip',
  'grep',
])('the base template has %s', async (program) => {
  expect((await sandbox().commands.run(`command -v ${program}`)).stdout).toMatch(/^\//);
});

test('the base template has no mcp-gateway, which the client would use', async () => {
  expect((await sandbox().commands.run('command -v mcp-gateway || echo none')).stdout).toBe('none\n');
});

test('Python has its standard library, with TLS and certificates', async () => {
  const program =
    'import ssl, sqlite3, json, asyncio, ctypes; print(len(ssl.create_default_context().get_ca_certs()) > 50)';
  expect((await sandbox().commands.run(`python3 -c '${program}'`)).stdout).toBe('True\n');
});

test('npm works', async () => {
  const { stdout } = await sandbox().commands.run(
    'mkdir -p app && cd app && npm init -y >/dev/null && npm pkg get name',
  );
  expect(stdout).toBe('"app"\n');
});

test("the client's git helpers work, over git's own protocol", async () => {
  // oxlint-disable-next-line typescript/no-deprecated -- clients in the field go on using it
  const { git, commands } = sandbox();
  await git.init('/home/user/repo', { initialBranch: 'main' });
  await sandbox().files.write('/home/user/repo/a.txt', 'content');
  await git.add('/home/user/repo', { all: true });
  await git.configureUser('Tester', 'tester@example.com', { scope: 'global' });
  await git.commit('/home/user/repo', 'first');
  expect((await git.status('/home/user/repo')).isClean).toBe(true);
  await commands.run('git daemon --export-all --base-path=/home/user --reuseaddr', { background: true, timeoutMs: 0 });
  await commands.run('until ss -Hltn sport = :9418 | grep -q .; do sleep 0.05; done', { timeoutMs: 5000 });
  await git.clone('git://localhost/repo', { path: '/home/user/clone' });
  expect(await sandbox().files.read('/home/user/clone/a.txt')).toBe('content');
});

test('the home, the shell and the locale are as users expect', async () => {
  const { stdout } = await sandbox().commands.run('echo $SHELL $HOME; locale charmap; umask; getent passwd user');
  expect(stdout).toMatch(/\/home\/user\nUTF-8\n0022\nuser:x:\d+:\d+:.*:\/home\/user:\/bin\/bash\n$/);
});
