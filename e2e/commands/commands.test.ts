import { AuthenticationError, CommandExitError, InvalidArgumentError, TimeoutError } from 'e2b';
import { expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

/** Runs a command that must fail and returns the error of the client. */
async function failure(command: string, options: { timeoutMs?: number; user?: string } = {}): Promise<unknown> {
  return await sandbox()
    .commands.run(command, options)
    .then(
      (result) => result,
      (error: unknown) => error,
    );
}

test('a command returns its output and exit code 0', async () => {
  const result = await sandbox().commands.run('echo out; echo err >&2');
  expect(result).toMatchObject({ exitCode: 0, stdout: 'out\n', stderr: 'err\n' });
  expect(result.error ?? '').toBe('');
});

test('Python and Node run', async () => {
  expect((await sandbox().commands.run(`python3 -c 'print(sum(range(10)))'`)).stdout).toBe('45\n');
  expect((await sandbox().commands.run(`python --version`)).stdout).toMatch(/^Python 3/);
  expect((await sandbox().commands.run(`node -e 'console.log([1,2].map((x) => x * 2).join())'`)).stdout).toBe('2,4\n');
});

test.each([1, 2, 42, 126, 255])('exit code %i is reported in a CommandExitError', async (code) => {
  const error = await failure(`echo before; echo bad >&2; exit ${String(code)}`);
  expect(error).toBeInstanceOf(CommandExitError);
  expect(error).toMatchObject({
    exitCode: code,
    stdout: 'before\n',
    stderr: 'bad\n',
    error: `exit status ${String(code)}`,
  });
});

test('a missing program exits with 127', async () => {
  expect(await failure('no-such-program')).toMatchObject({ exitCode: 127 });
});

test('the end by a signal is distinguished from an exit', async () => {
  expect(await failure('kill -9 $$')).toMatchObject({ exitCode: -1, error: 'signal: killed' });
  expect(await failure('kill -TERM $$')).toMatchObject({ exitCode: -1, error: 'signal: terminated' });
});

test('text of any alphabet arrives intact, also when it is cut into chunks', async () => {
  const text = 'Grüße, 世界, 🚀, العربية';
  expect((await sandbox().commands.run(`echo '${text}'`)).stdout).toBe(`${text}\n`);
  const long = await sandbox().commands.run(`python3 -c "print('🚀ü世' * 50000, end='')"`);
  expect(long.stdout).toBe('🚀ü世'.repeat(50_000));
});

test('output arrives while the command runs', async () => {
  const seen: { text: string; at: number }[] = [];
  await sandbox().commands.run('echo one; sleep 0.5; echo two', {
    onStdout: (text) => {
      seen.push({ text, at: Date.now() });
    },
  });
  expect(seen.map(({ text }) => text).join('')).toBe('one\ntwo\n');
  expect((seen.at(-1)?.at ?? 0) - (seen[0]?.at ?? 0)).toBeGreaterThan(300);
});

test('the default user is user in its home; root is root', async () => {
  expect((await sandbox().commands.run('id -un; pwd; echo $HOME')).stdout).toBe('user\n/home/user\n/home/user\n');
  expect((await sandbox().commands.run('id -u; echo $HOME $USER', { user: 'root' })).stdout).toBe('0\n/root root\n');
});

test('an unknown user is refused', async () => {
  expect(await failure('true', { user: 'nobody-knows' })).toBeInstanceOf(AuthenticationError);
});

test('a command runs in the given folder', async () => {
  expect((await sandbox().commands.run('pwd', { cwd: '/usr/lib' })).stdout).toBe('/usr/lib\n');
  expect((await sandbox().commands.run('pwd', { cwd: '~' })).stdout).toBe('/home/user\n');
  const missing = sandbox().commands.run('pwd', { cwd: '/no/such' });
  await expect(missing).rejects.toThrow(InvalidArgumentError);
  await expect(sandbox().commands.run('pwd', { cwd: '/no/such' })).rejects.toThrow(/cwd '\/no\/such' does not exist/);
});

test('variables of a command take precedence and last only for that command', async () => {
  const { stdout } = await sandbox().commands.run('echo $ONE-$HOME', { envs: { ONE: '1 ü', HOME: '/tmp' } });
  expect(stdout).toBe('1 ü-/tmp\n');
  expect((await sandbox().commands.run('echo "[$ONE]"')).stdout).toBe('[]\n');
});

test('a time limit kills the command', async () => {
  const startedAt = Date.now();
  expect(await failure('echo $$ > /tmp/limited; exec sleep 50', { timeoutMs: 1000 })).toBeInstanceOf(TimeoutError);
  expect(Date.now() - startedAt).toBeLessThan(5000);
  // The client has its own timer, which may fire first.
  await until('its end', async () => {
    const { stdout } = await sandbox().commands.run('kill -0 $(cat /tmp/limited) 2>/dev/null || echo gone');
    return stdout === 'gone\n';
  });
});

test('a background command returns a handle at once', async () => {
  const handle = await sandbox().commands.run('sleep 0.3; echo done', { background: true });
  expect(handle.pid).toBeGreaterThan(0);
  expect(handle.exitCode).toBeUndefined();
  expect(await handle.wait()).toMatchObject({ exitCode: 0, stdout: 'done\n' });
});

test('list shows running commands with their details', async () => {
  const handle = await sandbox().commands.run('sleep 77', { background: true, envs: { A: 'b' }, cwd: '/tmp' });
  const found = (await sandbox().commands.list()).find(({ pid }) => pid === handle.pid);
  expect(found).toMatchObject({ cmd: '/bin/bash', args: ['-l', '-c', 'sleep 77'], cwd: '/tmp', envs: { A: 'b' } });
  await handle.kill();
  await until('gone', async () => !(await sandbox().commands.list()).some(({ pid }) => pid === handle.pid));
});

test('kill ends a command once', async () => {
  const handle = await sandbox().commands.run('sleep 77', { background: true });
  const ended = handle.wait().catch((error: unknown) => error);
  expect(await sandbox().commands.kill(handle.pid)).toBe(true);
  expect(await ended).toMatchObject({ exitCode: -1, error: 'signal: killed' });
  await until('unknown', async () => !(await sandbox().commands.kill(handle.pid)), 5000);
  expect(await sandbox().commands.kill(999_999)).toBe(false);
});

test('connect attaches to a running command and receives its further output and its end', async () => {
  const first = await sandbox().commands.run('read line; echo got $line; exit 3', { background: true, stdin: true });
  const second = await sandbox().commands.connect(first.pid);
  expect(second.pid).toBe(first.pid);
  await sandbox().commands.sendStdin(first.pid, 'hello\n');
  for (const handle of [first, second]) {
    const error = await handle.wait().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ exitCode: 3, stdout: 'got hello\n' });
  }
});

test('connect to a process that never existed is refused', async () => {
  await expect(sandbox().commands.connect(999_999)).rejects.toMatchObject({ name: 'NotFoundError' });
});

test('disconnecting does not kill the command', async () => {
  const handle = await sandbox().commands.run('sleep 1; echo survived > /tmp/survivor', { background: true });
  await handle.disconnect();
  await until('the file', async () => await sandbox().files.exists('/tmp/survivor'), 5000);
});
