import { both } from '../attempt.ts';
import type { InsideAttempt } from '../attempt.ts';

type More = Partial<Pick<InsideAttempt, 'by' | 'refusedWith' | 'harmlessInOwnKernel' | 'wall'>>;

function asks(name: string, python: string, control: InsideAttempt['control'], more: More = {}): InsideAttempt {
  return { kind: 'inside', wall: 'hostView', by: both, name, python, control, ...more };
}

const changesHost = { none: 'it would change the host' } as const;
const ownSettings = 'the settings are those of its own kernel';

/** Settings of the kernel, with a value that differs from every usual one. */
const settings: readonly (readonly [path: string, value: string])[] = [
  ['kernel/core_pattern', '|/redteam'],
  ['kernel/modprobe', '/redteam'],
  ['kernel/hotplug', '/redteam'],
  ['kernel/panic', '77'],
  ['kernel/sysrq', '511'],
  ['kernel/ns_last_pid', '77'],
  ['kernel/randomize_va_space', '0'],
  ['kernel/unprivileged_bpf_disabled', '0'],
  ['kernel/yama/ptrace_scope', '0'],
  ['kernel/keys/maxkeys', '77777'],
  ['vm/overcommit_memory', '1'],
  ['vm/drop_caches', '3'],
  ['vm/mmap_min_addr', '0'],
  ['fs/protected_symlinks', '0'],
  ['fs/suid_dumpable', '2'],
  ['fs/binfmt_misc/register', ':redteam:M::redteam::/x:F'],
  ['net/ipv4/ip_forward', '1'],
  ['net/ipv4/conf/all/rp_filter', '0'],
  ['user/max_user_namespaces', '1'],
];

/** Places where the kernel shows or takes settings of the whole host, and files of the host. */
export const hostFiles: readonly InsideAttempt[] = [
  ...settings.map(([path, value]) =>
    asks(`writes /proc/sys/${path}`, `write('/proc/sys/${path}', b'${value}')`, changesHost, {
      harmlessInOwnKernel: ownSettings,
      refusedWith: ['EINVAL', 'EIO'],
    }),
  ),
  asks(
    'writes /proc/sys by another name of its root',
    `folder = os.open('/proc/sys', os.O_RDONLY | os.O_DIRECTORY)
names = ['/proc/self/root', '/proc/1/root', '/proc/self/task/%d/root' % os.getpid(), '/proc/thread-self/root', '/proc/1/cwd']
any_of([lambda name=name: write(name + '/proc/sys/kernel/core_pattern', b'|/redteam') for name in names] +
  [lambda: os.write(os.open('kernel/core_pattern', os.O_WRONLY, dir_fd=folder), b'|/redteam')])`,
    changesHost,
    { harmlessInOwnKernel: ownSettings },
  ),
  asks(
    'writes /proc/sys through the masked mount below it',
    `any_of([lambda name=name: write(name, b'|/redteam') for name in
  ('/proc/sys/kernel/random/../core_pattern', '/proc/sys/kernel/random/boot_id', '/proc/sys/./kernel//core_pattern')])`,
    changesHost,
    { harmlessInOwnKernel: ownSettings },
  ),
  asks('sets the host name by /proc', `write('/proc/sys/kernel/hostname', b'redteam')`, 'opened', {
    refusedWith: ['EIO'],
    harmlessInOwnKernel: ownSettings,
  }),
  asks('presses the magic key', `write('/proc/sysrq-trigger', b'h')`, changesHost, { refusedWith: ['EIO'] }),
  asks(
    'moves interrupts to other processors',
    `any_of([lambda name=name: write('/proc/irq/' + name, b'1') for name in ('default_smp_affinity', '0/smp_affinity', '1/smp_affinity')])`,
    changesHost,
  ),
  asks('writes the memory types of the host', `write('/proc/mtrr', b'disable=0')`, changesHost, {
    refusedWith: ['EINVAL'],
  }),
  asks(
    'opens some file of /proc that is not about a process for writing',
    `found = []
for folder, folders, files in os.walk('/proc'):
  if folder == '/proc':
    folders[:] = [name for name in folders if not name.isdigit() and name not in ('self', 'thread-self')]
  if folder.startswith('/proc/pressure'): continue
  for name in files:
    path = folder + '/' + name
    try:
      # A mask is the null device. A link leads to files of a process.
      if os.path.islink(path) or os.stat(path).st_mode & 0o170000 == 0o20000: continue
    except OSError: continue
    try: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)); found.append(path)
    except OSError: pass
if not found: raise Refused('none')
return found`,
    changesHost,
    { harmlessInOwnKernel: ownSettings },
  ),
  asks(
    'opens some file of /sys for writing',
    `found = []
endAt = time.monotonic() + 5
for folder, _, files in os.walk('/sys'):
  for name in files:
    if time.monotonic() > endAt: raise OSError(errno.ETIME, 'not finished')
    try: os.close(os.open(folder + '/' + name, os.O_WRONLY | os.O_NONBLOCK)); found.append(folder + '/' + name)
    except OSError: pass
if not found: raise Refused('none')
return found`,
    changesHost,
  ),
  asks(
    'registers a program that the kernel runs for events',
    `any_of([lambda name=name: write(name, b'/redteam') for name in ('/sys/kernel/uevent_helper', '/proc/sys/kernel/hotplug')])`,
    changesHost,
    { harmlessInOwnKernel: ownSettings },
  ),
  asks(
    'puts the machine to sleep, or takes processors away',
    `any_of([lambda pair=pair: write(pair[0], pair[1]) for pair in (('/sys/power/state', b'mem'),
  ('/sys/devices/system/cpu/cpu1/online', b'0'), ('/sys/kernel/mm/transparent_hugepage/enabled', b'never'))])`,
    changesHost,
  ),
  asks(
    'finds a release agent of control groups',
    `any_of([lambda folder=folder: write(folder + '/release_agent', b'/redteam')
  for folder, _, _ in os.walk('/sys/fs/cgroup')])`,
    changesHost,
  ),
  asks(
    'leaves its control group, or raises the limits of it',
    `names = ('cgroup.procs', 'tasks', 'memory.max', 'memory.limit_in_bytes', 'pids.max', 'cpu.max', 'devices.allow', 'cgroup.freeze')
any_of([lambda folder=folder, name=name: write(folder + '/' + name, b'1') for folder, _, _ in os.walk('/sys/fs/cgroup') for name in names])`,
    changesHost,
  ),
  asks(
    'learns the name of its control group on the host',
    `lines = [line for line in open('/proc/self/cgroup').read().splitlines() if not line.endswith(':/')]
if not lines: raise Refused('only roots')
return lines`,
    { none: 'a program of the host may be at the root, too' },
  ),
  asks(
    'reads memory, symbols or messages of the kernel',
    `def nonzero():
  if not any(not line.startswith('0000000000000000') for line in open('/proc/kallsyms')): raise OSError(errno.EPERM, '')
def something(path):
  if read(path, 64) == b'': raise OSError(errno.EPERM, '')
any_of([nonzero] + [lambda name=name: something(name) for name in ('/proc/kcore', '/proc/kmsg', '/dev/kmsg', '/dev/mem', '/dev/kmem',
  '/dev/port', '/proc/keys', '/proc/timer_list', '/proc/sched_debug', '/proc/kpagecount', '/proc/vmallocinfo', '/proc/slabinfo')])`,
    'host',
    { refusedWith: ['EAGAIN'] },
  ),
  asks(
    "reads the host's boot options and disks",
    `any_of([lambda name=name: read(name, 64) or raw(-1) for name in ('/proc/diskstats', '/proc/partitions', '/proc/interrupts', '/proc/config.gz')])`,
    'host',
  ),
  asks(
    'looks into folders of firmware, debugging and control groups',
    `found = [name for name in ('/sys/firmware', '/sys/kernel/debug', '/sys/kernel/security', '/sys/kernel/tracing', '/sys/fs/cgroup', '/sys/fs/ext4')
  if os.path.isdir(name) and os.listdir(name)]
if not found: raise Refused('all empty')
return found`,
    'host',
    { harmlessInOwnKernel: 'the folders are those of its own kernel' },
  ),
  asks(
    'reaches a file of the host by a folder that a process has open (CVE-2024-21626)',
    `def climb(start): return lambda: read(start + '/..' * 24 + P['hostFile'])
starts = ['/proc/self/cwd', '/proc/self/root', '/proc/1/cwd', '/proc/1/root']
for process in [name for name in os.listdir('/proc') if name.isdigit()] + ['self']:
  try: starts += ['/proc/%s/fd/%s' % (process, name) for name in os.listdir('/proc/%s/fd' % process)]
  except OSError: pass
any_of([climb(start) for start in starts])`,
    'host',
    { refusedWith: ['ELOOP'] },
  ),
  asks(
    'has an open file or folder that is not of the sandbox',
    `roots = {os.stat(point).st_dev for point in mount_points() if os.path.exists(point)}
def strange(name):
  target = os.readlink(name)
  return target.startswith('/') and os.stat(name).st_dev not in roots and not target.startswith('/dev/')
found = []
for process in [name for name in os.listdir('/proc') if name.isdigit()]:
  try: names = ['/proc/%s/fd/%s' % (process, name) for name in os.listdir('/proc/%s/fd' % process)]
  except OSError: continue
  for name in names:
    try:
      if strange(name): found.append(os.readlink(name))
    except OSError: pass
if not found: raise Refused('none')
return found`,
    { none: 'programs of the host may have only ordinary files' },
  ),
  asks('reads a file of the host by its path', `return read(P['hostFile'])`, 'host'),
  asks(
    "sees the host's paths in its mounts",
    `text = open('/proc/self/mountinfo').read() + open('/proc/self/mounts').read()
# The folder of an instance, not the one in a sandbox behind gVisor that has volumes.
if P['dataFolder'] not in text and not re.search('/run/soulbox-[0-9]', text): raise Refused('none')`,
    { none: 'the mounts of sandboxes are in namespaces of their own' },
  ),
  asks(
    'makes a block device and opens it',
    `path = P['scratch'] + '/block-%d' % os.getpid()
os.mknod(path, 0o60666, os.makedev(7, 0))
os.open(path, os.O_RDONLY | os.O_NONBLOCK)`,
    'opened',
    { wall: 'devices', refusedWith: ['ENXIO'] },
  ),
  asks(
    'makes the device of physical memory and opens it',
    `path = P['scratch'] + '/memory-%d' % os.getpid()
os.mknod(path, 0o20666, os.makedev(1, 1))
os.open(path, os.O_RDONLY)`,
    { none: 'not every kernel has it' },
    { wall: 'devices' },
  ),
  asks(
    'makes a device in /dev/shm and opens it',
    `path = '/dev/shm/made-%d' % os.getpid()
os.mknod(path, 0o20666, os.makedev(10, 237))
try: os.open(path, os.O_RDONLY)
finally: os.unlink(path)`,
    { none: 'not every host lets devices be there' },
    { wall: 'devices' },
  ),
  asks(
    'opens a device of the host',
    `any_of([lambda name=name: os.open('/dev/' + name, os.O_RDWR | os.O_NONBLOCK) for name in
  ('kvm', 'loop-control', 'loop0', 'vda', 'sda', 'mem', 'fuse', 'net/tun', 'mapper/control', 'vhost-net', 'userfaultfd', 'kmsg', 'console', 'btrfs-control', 'uinput', 'cuse')])`,
    'host',
    { wall: 'devices', harmlessInOwnKernel: 'a device of its own kernel' },
  ),
  asks(
    'changes the owner, mode or times of a device node',
    `any_of([lambda name=name, change=change: change('/dev/' + name) for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty')
  for change in (lambda path: os.chmod(path, 0o600), lambda path: os.chown(path, 1, 1), lambda path: os.utime(path, (0, 0)))])`,
    changesHost,
    { wall: 'devices', harmlessInOwnKernel: 'a node of its own kernel' },
  ),
  asks(
    'replaces a device node',
    `any_of([lambda name=name: os.rename(P['scratch'], '/dev/' + name) for name in ('null', 'zero')] + [lambda: os.unlink('/dev/null')])`,
    changesHost,
    { wall: 'devices', refusedWith: ['EBUSY', 'EXDEV'], harmlessInOwnKernel: 'a node of its own kernel' },
  ),
];
