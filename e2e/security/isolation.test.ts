import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const sandbox = sharedSandbox();

async function asRoot(command: string): Promise<string> {
  const { stdout } = await sandbox().commands.run(`{ ${command} ; } 2>&1 || true`, { user: 'root' });
  return stdout;
}

test('sudo works inside', async () => {
  expect((await sandbox().commands.run('sudo id -u')).stdout).toBe('0\n');
  expect((await sandbox().commands.run('sudo apt-get --version | head -1')).stdout).toContain('apt');
});

/** The host uid of a process. Undefined if it runs another command or has ended meanwhile. */
function uidOf(pid: string, isIt: (commandLine: string) => boolean): number | undefined {
  try {
    if (!isIt(readFileSync(`/proc/${pid}/cmdline`, 'latin1'))) return undefined;
    return Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

test('a program can close all its descriptors at once, or is told to close them one by one', async () => {
  const sandbox = await createSandbox();
  // As GLib does before it starts a program: with any other error, it gives up.
  const closeRange = `import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
failed = libc.syscall(436, ctypes.c_uint(50), ctypes.c_uint(0xffffffff), 4)
print(failed == 0 or errno.errorcode[ctypes.get_errno()])`;
  await sandbox.files.write('/tmp/close.py', closeRange);
  const { stdout } = await sandbox.commands.run('python3 /tmp/close.py');
  expect(stdout.trim()).toBe(server.isolation === 'gvisor' ? 'ENOSYS' : 'True');
});

test('root inside is an unprivileged user outside', async () => {
  const { ownKernel } = server.capabilities;
  // With its own kernel the sandbox counts from 0, and the host sees only the process of that kernel.
  if (!ownKernel) expect(await asRoot('cat /proc/self/uid_map')).toMatch(/^\s*0\s+[1-9]\d+\s+65536\s*$/);
  const isInside = (commandLine: string): boolean =>
    ownKernel
      ? commandLine.startsWith('runsc-sandbox') && commandLine.includes(sandbox().sandboxId)
      : commandLine === 'sleep\u00005551\u0000';
  const handle = await sandbox().commands.run('exec sleep 5551', { background: true, user: 'root' });
  // The login shell takes a moment before it executes the sleep.
  const uid = await until('the process on the host', () =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => uidOf(pid, isInside))
      .find((found) => found !== undefined),
  );
  expect(uid).toBeGreaterThanOrEqual(2 ** 28);
  await handle.kill();
  await handle.wait().catch(() => undefined);
});

test('processes, mounts and paths of the host are not visible', async () => {
  expect(await asRoot('ps -e -o args=')).not.toMatch(/vitest|soulbox up|apps\/cli/);
  const mounts = (await asRoot('cat /proc/self/mountinfo')).split('\n');
  expect(mounts.filter((line) => line.includes(server.dataDirectory) || line.includes('/var/lib/'))).toEqual([]);
  expect(await asRoot('find / -xdev -name "records.sqlite*" 2>/dev/null')).toBe('');
  expect(await asRoot('env; cat /proc/1/environ | tr "\\0" "\\n"')).not.toMatch(/SOULBOX_|e2b_[0-9a-f]{8}/);
});

test.each([
  ['mount a file system', 'mount -t ext4 /dev/loop0 /mnt'],
  ['load a module', 'modprobe loop || insmod /x.ko'],
  ['see the kernel log', 'dmesg'],
  ['change kernel parameters of the host', 'echo 1 > /proc/sys/kernel/panic'],
  ['trigger sysrq', 'echo h > /proc/sysrq-trigger'],
  ['write to the cgroups', 'echo max > $(find /sys/fs/cgroup -name "memory.max" | head -1)'],
  ['set the clock', 'date -s 2001-01-01'],
  [
    'reboot through the system call',
    'python3 -c "import ctypes; exit(ctypes.CDLL(None).reboot(0x1234567) == 0)"; false',
  ],
  ['use raw block devices', 'mknod /tmp/disk b 7 0 && head -c 1 /tmp/disk'],
  ['change the host name of the host', 'hostname evil && [ "$(hostname)" != evil ]'],
  ['read physical memory', 'head -c 1 /dev/mem'],
  ['read kernel symbols', 'grep -v "^0000000000000000" /proc/kallsyms | head -1 | grep .'],
  ['trace with BPF', 'python3 -c "import ctypes; exit(ctypes.CDLL(None).syscall(321, 0, 0, 0) < 0)"'],
  ['use io_uring', 'python3 -c "import ctypes; exit(ctypes.CDLL(None).syscall(425, 8, 0) < 0)"'],
  ['use the kernel keyring', 'python3 -c "import ctypes; exit(ctypes.CDLL(None).syscall(250, 0, -3, 1) < 0)"'],
])('root inside cannot %s', async (_what, command) => {
  const { stdout } = await sandbox().commands.run(`( ${command} ) >/dev/null 2>&1 && echo possible || echo refused`, {
    user: 'root',
  });
  expect(stdout).toBe('refused\n');
});

test('the runtime folder is read-only', async () => {
  const roots = await asRoot('findmnt -rn -o TARGET,OPTIONS /.soulbox');
  expect(roots).toMatch(/\bro\b/);
  const target = roots.split(' ')[0] ?? '';
  expect(await asRoot(`touch ${target}/x && echo written`)).not.toContain('written');
  expect(await asRoot(`mount -o remount,rw ${target} && echo remounted`)).not.toContain('remounted');
});

test('the user cannot stop or trace envd or read its token', async () => {
  const { stdout } = await sandbox().commands.run(
    'kill -9 1; cat /proc/1/environ 2>&1; cat /proc/1/mem 2>&1 | head -c 9',
  );
  expect(stdout).not.toMatch(/token/i);
  expect(await sandbox().isRunning()).toBe(true);
});

test('a user cannot listen on the ports of envd, at no address', async () => {
  const program = `
import socket, sys
for address in ('0.0.0.0', '10.11.0.2', '127.0.0.1', '::', '::1', '::ffff:10.11.0.2'):
  for port in (49983, 49984):
    taken = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT): taken.setsockopt(socket.SOL_SOCKET, option, 1)
    try: taken.bind((address, port)); taken.listen()
    except OSError: continue
    print(address, port, 'taken')
`;
  await sandbox().files.write('/tmp/listen.py', program);
  const { stdout } = await sandbox().commands.run('python3 /tmp/listen.py');
  // The second port is only used, and then taken, where the sandbox has a kernel of its own.
  const isOurs = (line: string): boolean => server.capabilities.ownKernel || line.includes('49983');
  expect(stdout.split('\n').filter((line) => line !== '' && isOurs(line))).toEqual([]);
  expect((await sandbox().commands.run('echo served')).stdout).toBe('served\n');
});

test('changes of one sandbox to system files are not visible in another', async () => {
  const other = await createSandbox();
  await sandbox().commands.run('echo poisoned | sudo tee -a /etc/profile /usr/bin/python3-fake >/dev/null');
  expect((await other.commands.run('grep -c poisoned /etc/profile || true')).stdout).toBe('0\n');
  expect(await other.files.exists('/usr/bin/python3-fake')).toBe(false);
  await sandbox().commands.run(`sudo sed -i /poisoned/d /etc/profile`);
});
