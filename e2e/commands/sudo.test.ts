import { setTimeout as sleep } from 'node:timers/promises';
import { CommandExitError, Sandbox } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import { skipWithout } from '../harness/needs.ts';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';

const sandbox = sharedSandbox();

const stdout = async (command: string, user = 'user'): Promise<string> =>
  (await sandbox().commands.run(command, { user, timeoutMs: 60_000 })).stdout;

test('the usual forms of sudo work as elsewhere', async () => {
  expect(await stdout('sudo -n id -u')).toBe('0\n');
  expect(await stdout('echo x | sudo tee /root/f; sudo cat /root/f')).toBe('x\nx\n');
  expect(
    await stdout('FOO=bar sudo -E printenv FOO; sudo FOO=baz printenv FOO; FOO=bar sudo printenv FOO || echo unset'),
  ).toBe('bar\nbaz\nunset\n');
  expect(await stdout('sudo -u nobody id -un; sudo -i pwd; cd /tmp && sudo -s pwd')).toBe('nobody\n/root\n/tmp\n');
  expect(await stdout('(echo a; sudo echo b; echo c) > /tmp/log; cat /tmp/log')).toBe('a\nb\nc\n');
});

test('statuses and signals are passed through', async () => {
  const failed = await sandbox()
    .commands.run('sudo sh -c "exit 7"')
    .catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(CommandExitError);
  expect((failed as CommandExitError).exitCode).toBe(7);
  expect(
    await stdout('sudo sleep 600 & sleep 1; kill -TERM $!; wait $!; echo $?; pgrep -fxc "sleep 600" || true'),
  ).toBe('143\n0\n');
});

test('the package manager works through it', { timeout: 120_000 }, async () => {
  expect(await stdout('sudo dpkg --configure -a && sudo apt-get check > /dev/null && echo whole')).toBe('whole\n');
  const empty =
    'mkdir -p /tmp/p/DEBIAN && printf "Package: empty\\nVersion: 1\\nArchitecture: all\\nMaintainer: x\\nDescription: x\\n" > /tmp/p/DEBIAN/control';
  expect(
    await stdout(
      `${empty} && dpkg-deb --build /tmp/p /tmp/p.deb > /dev/null && sudo apt-get install -y /tmp/p.deb > /dev/null 2>&1; dpkg-query -Wf '\${Status}' empty`,
    ),
  ).toBe('install ok installed');
});

test('a user without a rule is refused', async () => {
  await stdout('useradd -m stranger', 'root');
  const refused = await sandbox()
    .commands.run('sudo -n id', { user: 'stranger' })
    .catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(CommandExitError);
  expect((refused as CommandExitError).stdout).toBe('');
});

test('a root shell on a terminal has its own terminal, and Ctrl-C reaches the program in it', async () => {
  let output = '';
  const terminal = await sandbox().pty.create({
    cols: 91,
    rows: 33,
    timeoutMs: 60_000,
    onData: (data) => void (output += Buffer.from(data).toString()),
  });
  const type = async (text: string): Promise<void> => {
    await sandbox().pty.sendInput(terminal.pid, Buffer.from(text));
    await sleep(1_500);
  };
  await type('sudo -i\n');
  await type('stty size; tty; sleep 1000\n');
  await type('\x03');
  await type('echo "I am $(id -un)"; exit\n');
  await type('exit\n');
  await terminal.wait();
  expect(output).toContain('33 91');
  expect(output).toMatch(/\/dev\/pts\/\d/);
  expect(output).toContain('I am root');
});

test('messages that are not from our program neither block envd nor grant anything', async (context) => {
  skipWithout('ownKernel', context);
  const script = `
import array, os, socket, struct
name = "\\0soulbox-sudo-49983"
def send(fds, extra=()):
    box = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    box.connect(name)
    box.sendmsg([b"x"], rights + list(extra))
    box.close()
null = os.open("/dev/null", os.O_RDWR)
folder = os.open("/", os.O_RDONLY)
send([])
send([null])
send([null] * 5)
send([null, null, null, folder, null])
send([null] * 60)
for _ in range(300):
    mine, theirs = socket.socketpair()
    send([null, null, null, folder, theirs.fileno()])
# A channel that takes no answer: whoever waited for it would wait for ever.
mine, theirs = socket.socketpair()
theirs.setblocking(False)
try:
    while True: theirs.send(b"x" * 65536)
except BlockingIOError: pass
send([null, null, null, folder, theirs.fileno()])
# Credentials that are not one's own.
try:
    send([], [(socket.SOL_SOCKET, 2, struct.pack("3i", os.getpid(), 0, 0))])
    print("forged")
except PermissionError: print("not forged")
mine, theirs = socket.socketpair()
send([null, null, null, folder, theirs.fileno()])
print(mine.recv(1000).decode().strip())
`;
  await sandbox().files.write('/tmp/hostile.py', script, { user: 'root' });
  await stdout('id hostile 2> /dev/null || useradd hostile', 'root');
  expect(await stdout('python3 /tmp/hostile.py 2>&1 || true', 'hostile')).toBe(
    'not forged\n{"kind":"refused","message":"hostile may not run everything without a password here."}\n',
  );
  expect(await stdout('sudo id -u')).toBe('0\n');
  // None of the three hundred connections is still open.
  expect(Number(await stdout('sudo sh -c "ls /proc/1/fd | wc -l"'))).toBeLessThan(60);
});

test('sudo works after a pause, and in a copy', async (context) => {
  skipWithout('checkpoint', context);
  const source = await createSandbox();
  const whoAmI = async (of: Sandbox): Promise<string> => (await of.commands.run('sudo -n id -un')).stdout;
  expect(await whoAmI(source)).toBe('root\n');
  await source.pause();
  await source.connect();
  expect(await whoAmI(source)).toBe('root\n');
  const [copy] = await source.fork();
  if (!(copy instanceof Sandbox)) throw new Error('no copy');
  onTestFinished(async () => {
    await copy.kill();
  });
  expect(await whoAmI(copy)).toBe('root\n');
  expect(await whoAmI(source)).toBe('root\n');
});
