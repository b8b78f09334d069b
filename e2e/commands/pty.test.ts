import { SandboxError } from 'e2b';
import type { CommandHandle, Sandbox } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

interface Terminal {
  readonly handle: CommandHandle;
  /** Everything that was printed so far. */
  text(): string;
  type(text: string): Promise<void>;
  waitFor(text: string): Promise<void>;
}

async function openTerminal(options: Partial<Parameters<Sandbox['pty']['create']>[0]> = {}): Promise<Terminal> {
  const decoder = new TextDecoder();
  let printed = '';
  const handle = await sandbox().pty.create({
    cols: 80,
    rows: 24,
    onData: (data) => {
      printed += decoder.decode(data, { stream: true });
    },
    ...options,
  });
  const ended = handle.wait().catch(() => undefined);
  onTestFinished(async () => {
    await sandbox().pty.kill(handle.pid);
    await ended;
  });
  return {
    handle,
    text: () => printed,
    type: async (text) => {
      await sandbox().pty.sendInput(handle.pid, new TextEncoder().encode(text));
    },
    waitFor: async (text) => {
      await until(`"${text}" in ${printed}`, () => printed.includes(text));
    },
  };
}

test('a terminal runs what is typed', async () => {
  const terminal = await openTerminal();
  await terminal.type('echo sum-$((20 + 22))\n');
  await terminal.waitFor('sum-42');
});

test('it is a terminal of the given size, and changes with it', async () => {
  const terminal = await openTerminal({ cols: 100, rows: 30 });
  await terminal.type('stty size\n');
  await terminal.waitFor('30 100');
  await sandbox().pty.resize(terminal.handle.pid, { cols: 132, rows: 43 });
  await terminal.type('stty size\n');
  await terminal.waitFor('43 132');
});

test('environment, folder and user are as requested', async () => {
  const terminal = await openTerminal({ envs: { MARK: 'my mark' }, cwd: '/tmp', user: 'root' });
  await terminal.type('echo "[$MARK|$(pwd)|$(id -un)|$TERM|$LANG]"\n');
  await terminal.waitFor('[my mark|/tmp|root|xterm-256color|C.UTF-8]');
});

test('Ctrl-C interrupts the foreground job, not the shell', async () => {
  const terminal = await openTerminal();
  await terminal.type('sleep 100\n');
  await terminal.waitFor('sleep 100');
  await until('sleep runs', async () => (await sandbox().commands.run('pgrep -x sleep || true')).stdout !== '');
  await terminal.type('\u0003');
  await terminal.type('echo after-$((1 + 1))\n');
  await terminal.waitFor('after-2');
});

test('exit ends it with its code', async () => {
  const terminal = await openTerminal();
  await terminal.type('exit 7\n');
  const error = await terminal.handle.wait().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ exitCode: 7 });
});

test('kill ends it once', async () => {
  const terminal = await openTerminal();
  expect(await sandbox().pty.kill(terminal.handle.pid)).toBe(true);
  const error = await terminal.handle.wait().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ exitCode: -1, error: 'signal: killed' });
});

test('a second client can join', async () => {
  const terminal = await openTerminal();
  let seen = '';
  const second = await sandbox().pty.connect(terminal.handle.pid, {
    onData: (data) => {
      seen += Buffer.from(data).toString();
    },
  });
  await terminal.type('echo both-$((2 + 2))\n');
  await until('the other sees it', () => seen.includes('both-4'));
  await terminal.waitFor('both-4');
  await second.disconnect();
});

test('input of a command and input of a terminal are kept apart', async () => {
  const terminal = await openTerminal();
  await expect(sandbox().commands.sendStdin(terminal.handle.pid, 'x')).rejects.toThrow(SandboxError);
  const command = await sandbox().commands.run('sleep 20', { background: true, stdin: true });
  await expect(sandbox().pty.sendInput(command.pid, new Uint8Array([120]))).rejects.toThrow(SandboxError);
  await expect(sandbox().pty.resize(command.pid, { cols: 1, rows: 1 })).rejects.toThrow(SandboxError);
  await command.kill();
  await command.wait().catch(() => undefined);
});
