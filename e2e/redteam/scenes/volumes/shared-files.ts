import { readdirSync, readFileSync } from 'node:fs';
import type { Sandbox } from 'e2b';
import { refuseBreaches } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import type { World } from '../../world.ts';
import { withVolumes } from './both-teams.ts';

/** Every program prints JSON: what it could do and should not. */
const head = `
import ctypes, errno, json, os, shutil, socket, stat, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
did = []
def tries(name, work, allowed=()):
  try: work()
  except OSError as error:
    if error.errno in (errno.EPERM, errno.EACCES, errno.EROFS, errno.ENOSYS, errno.EXDEV, errno.ENODEV, errno.ENXIO,
      errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP, *allowed): return
    did.append('%s: unexpected %s' % (name, errno.errorcode.get(error.errno)))
  else: did.append(name)
def mount(source, target, kind, flags, data=None):
  if libc.mount(source, target, kind, flags, data) != 0: raise OSError(ctypes.get_errno(), 'mount')
`;

/** Root of the first sandbox leaves what would be dangerous on a file system of the host. */
const leave = `${head}
for name, kind, number in (('sda', stat.S_IFBLK, (8, 0)), ('mem', stat.S_IFCHR, (1, 1)), ('kmsg', stat.S_IFCHR, (1, 11)),
  ('fuse', stat.S_IFCHR, (10, 229)), ('null', stat.S_IFCHR, (1, 3))):
  def make(name=name, kind=kind, number=number):
    os.mknod('/data/' + name, kind | 0o666, os.makedev(*number))
    os.open('/data/' + name, os.O_RDONLY | os.O_NONBLOCK)
  tries('opens the device ' + name, make)
shutil.copy(os.path.realpath('/usr/bin/python3'), '/data/python')
os.chown('/data/python', 0, 0)
os.chmod('/data/python', 0o6755)
# All capabilities, in the form of version 2.
caps = bytes.fromhex('01000002' + 'ffffffff' * 4)
try: os.setxattr('/data/python', 'security.capability', caps)
except OSError: pass
os.mkdir('/data/open'); os.chmod('/data/open', 0o777)
for source, target in (('/etc/passwd', '/data/passwd'), ('/data/own', '/root/own'), ('/proc/self/environ', '/data/environ')):
  tries('links %s to %s' % (source, target), lambda: os.link(source, target))
  tries('renames %s to %s' % (source, target), lambda: os.rename(source, target))
listener = socket.socket(socket.AF_UNIX)
listener.bind('/data/open/socket'); os.chmod('/data/open/socket', 0o777); listener.listen(4)
os.mkfifo('/data/open/fifo'); os.chmod('/data/open/fifo', 0o777)
os.open('/data/open/fifo', os.O_RDWR)
client = socket.socket(socket.AF_UNIX); client.connect('/data/open/socket')
print(json.dumps(did), flush=True)
import time; time.sleep(600)
`;

/** The user of the second sandbox takes it up. */
const takeUp = `${head}
ids = subprocess.run(['/data/python', '-c', 'import os; print(*os.getresuid(), *os.getresgid()); print(open("/proc/self/status").read())'],
  capture_output=True, text=True)
lines = ids.stdout.splitlines()
if ids.returncode != 0 or lines[0].split() != [str(os.getuid())] * 3 + [str(os.getgid())] * 3: did.append('runs with other ids: ' + ids.stdout[:80] + ids.stderr[:200])
caps = [line for line in lines if line.startswith(('CapEff', 'CapPrm'))]
mine = [line for line in open('/proc/self/status').read().splitlines() if line.startswith(('CapEff', 'CapPrm'))]
if caps != mine: did.append('gets capabilities: %s instead of %s' % (caps, mine))
def speak():
  client = socket.socket(socket.AF_UNIX)
  client.connect('/data/open/socket')
tries('speaks to a socket of another sandbox', speak, (errno.ECONNREFUSED,))
tries('writes into a pipe of another sandbox', lambda: os.open('/data/open/fifo', os.O_WRONLY | os.O_NONBLOCK))
for name in ('sda', 'mem', 'kmsg', 'fuse'): tries('opens the device ' + name, lambda: os.open('/data/' + name, os.O_RDONLY))
print(json.dumps(did))
`;

/** Root looks for a way to the service, to its device, and to the mount itself. `sys.argv[1]`: folders of the host. */
const reach = `${head}
MS_REMOUNT, MS_BIND, MS_SHARED, MS_MOVE = 32, 4096, 1 << 20, 8192
tries('mounts the volume with devices and setuid programs', lambda: mount(b'', b'/data', None, MS_REMOUNT | MS_BIND))
tries('mounts the volume elsewhere', lambda: mount(b'/data', b'/mnt', None, MS_BIND))
tries('moves the mount', lambda: mount(b'/data', b'/mnt', None, MS_MOVE))
tries('shares the mount', lambda: mount(b'', b'/data', None, MS_SHARED))
tries('mounts a file system of its own with FUSE', lambda: mount(b'fuse', b'/mnt', b'fuse', 0, b'fd=3,rootmode=40000,user_id=0,group_id=0'))
def unmount(flags):
  if libc.umount2(b'/data', flags) != 0: raise OSError(ctypes.get_errno(), 'umount')
for flags in (0, 1, 2, 4): tries('takes the mount away with %d' % flags, lambda: unmount(flags), (errno.EBUSY,))
def apart():
  if libc.unshare(0x10000000 | 0x20000) != 0: raise OSError(ctypes.get_errno(), 'unshare')
  mount(b'', b'/data', None, MS_REMOUNT | MS_BIND)
tries('remounts in namespaces of its own', apart)
for path in ('/dev/fuse', '/dev/cuse', '/proc/1/root/dev/fuse'): tries('opens ' + path, lambda: os.open(path, os.O_RDWR))
def made():
  os.mknod('/tmp/fuse', stat.S_IFCHR | 0o666, os.makedev(10, 229))
  os.open('/tmp/fuse', os.O_RDWR)
tries('opens a FUSE device that it has made', made)
for folder in json.loads(sys.argv[1]):
  for part in ('', '/proc/1/root', '/data/' + '../' * 20):
    def call(path=part + folder):
      client = socket.socket(socket.AF_UNIX); client.connect(path)
    tries('connects to ' + part + folder, call)
line = [line for line in open('/proc/self/mountinfo') if line.split(' ')[4] == '/data'][0]
if 'nosuid' not in line or 'nodev' not in line: did.append('has a mount without nosuid and nodev: ' + line)
if 'shared:' in line or 'master:' in line: did.append('has a mount that others see: ' + line)
for name in os.listdir('/proc/self/fd'):
  try: target = os.readlink('/proc/self/fd/' + name)
  except OSError: continue
  if 'fuse' in target or 'volumes' in target: did.append('has an open ' + target)
print(json.dumps(did))
`;

/** Runs a program of the above as a user and returns what it could do. */
async function runProgram(
  sandbox: Sandbox,
  [name, program]: readonly [name: string, program: string],
  { user, argument = '' }: { user: 'user' | 'root'; argument?: string },
): Promise<string[]> {
  await sandbox.files.write(`/tmp/${name}.py`, program);
  const { stdout } = await sandbox.commands.run(`python3 /tmp/${name}.py '${argument}'`, { user, timeoutMs: 60_000 });
  return (JSON.parse(stdout) as string[]).map((text) => `${user} ${text}`);
}

async function shareFiles(world: World): Promise<string> {
  return await withVolumes(world, async ({ own }) => {
    const volumeMounts = { '/data': own.name };
    return await world.withSandbox(
      async (one) => {
        await one.files.write('/tmp/leave.py', leave);
        const report = Promise.withResolvers<string>();
        const running = await one.commands.run('python3 /tmp/leave.py', {
          ...{ background: true, timeoutMs: 0, user: 'root' },
          onStdout: (text) => report.resolve(text),
        });
        void running.wait().catch((error: unknown) => report.reject(error));
        const breaches = (JSON.parse(await report.promise) as string[]).map((text) => `root ${text}`);
        await world.withSandbox(
          async (two) => {
            breaches.push(...(await runProgram(two, ['take-up', takeUp], { user: 'user' })));
          },
          { volumeMounts },
        );
        refuseBreaches(breaches);
        return 'no device opens, no setuid bit and no capability counts, sockets and pipes stay in their sandbox';
      },
      { volumeMounts },
    );
  });
}

/** Points of file systems of FUSE in the mount table of a process. */
function fuseMounts(pid: number | 'self'): string[] {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
  return lines.filter((line) => / - fuse(\.\S+)? /.test(line)).map((line) => line.split(' ')[4] ?? '');
}

async function reachService(world: World): Promise<string> {
  const { target } = world;
  const sockets = ['volumes', 'buckets', 'objects'].map(
    (part) => `/run/soulbox-${target.instance}/${part}/${part}.sock`,
  );
  return await withVolumes(world, async ({ own }) => {
    const before = new Set(fuseMounts('self'));
    if (!readdirSync(`/run/soulbox-${target.instance}/volumes`).includes('volumes.sock'))
      throw new Error('the host has no socket of the volume service either');
    return await world.withSandbox(
      async (sandbox) => {
        const breaches: string[] = [];
        for (const user of ['user', 'root'] as const)
          breaches.push(
            ...(await runProgram(sandbox, [`reach-${user}`, reach], { user, argument: JSON.stringify(sockets) })),
          );
        // Nobody else has the mount: neither the host nor the server nor the attacker's other sandbox.
        for (const pid of ['self', 1, target.pid] as const)
          for (const point of fuseMounts(pid))
            if (!before.has(point)) breaches.push(`the volume is at ${point} of the process ${pid} of the host`);
        const { stdout } = await world.attacker.commands.run('cat /proc/self/mountinfo');
        if (/ - fuse/.test(stdout)) breaches.push('another sandbox has the mount');
        const own2 = await sandbox.commands.run('cat /data/own; grep -c " - fuse" /proc/self/mountinfo');
        refuseBreaches(breaches);
        if (own2.stdout !== 'own1\n') throw new Error(`the sandbox itself has no mount: ${own2.stdout}`);
        return `${sockets.length} sockets, the device and the mount are out of reach; the mount is in its sandbox alone`;
      },
      { volumeMounts: { '/data': own.name } },
    );
  });
}

const inside = { kind: 'scene', wall: 'volumePlaces', pace: 'quick' } as const;

export const sharedFiles: readonly Scene[] = [
  {
    ...{ ...inside, by: ['user', 'root'] },
    name: 'leaves devices, setuid programs, links, sockets and pipes in a volume for another sandbox',
    run: shareFiles,
  },
  {
    ...{ ...inside, by: ['user', 'root'] },
    name: 'reaches the volume service, its device, or the mount of a volume itself',
    notInOwnKernel: 'its /dev/fuse and the flags of its mounts are those of its own kernel',
    run: reachService,
  },
];
