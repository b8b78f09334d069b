import { both } from '../attempt.ts';
import type { InsideAttempt } from '../attempt.ts';

type More = Partial<Pick<InsideAttempt, 'by' | 'refusedWith' | 'harmlessInOwnKernel' | 'wall'>>;

function asks(
  name: string,
  python: string,
  control: InsideAttempt['control'] = 'opened',
  more: More = {},
): InsideAttempt {
  return { kind: 'inside', wall: 'privilegesInside', by: both, name, python, control, ...more };
}

/** Mounts, namespaces, ids and capabilities. */
export const privileges: readonly InsideAttempt[] = [
  asks('mounts a file system of memory', `call('mount', b'none', b'/mnt', b'tmpfs', 0, 0)`),
  asks('mounts a fresh /proc without masks', `call('mount', b'proc', b'/mnt', b'proc', 0, 0)`),
  asks('mounts a fresh /sys', `call('mount', b'sysfs', b'/mnt', b'sysfs', 0, 0)`),
  asks('mounts a folder over another one', `call('mount', b'/etc', b'/mnt', 0, 4096, 0)`),
  asks('mounts an overlay', `call('mount', b'o', b'/mnt', b'overlay', 0, b'lowerdir=/etc:/usr')`),
  asks('mounts control groups of version 2', `call('mount', b'c', b'/mnt', b'cgroup2', 0, 0)`),
  asks(
    'mounts control groups with a release agent',
    `call('mount', b'c', b'/mnt', b'cgroup', 0, b'rdma,release_agent=/x')`,
    {
      none: 'the host would run the agent',
    },
  ),
  asks('mounts the debug file system', `call('mount', b'd', b'/mnt', b'debugfs', 0, 0)`, {
    none: 'not every kernel has it',
  }),
  asks('opens the device of FUSE', `os.open('/dev/fuse', os.O_RDWR)`, 'opened', {
    harmlessInOwnKernel: 'its own kernel serves the device, and mounts are refused',
  }),
  asks(
    'makes a read-only mount writable',
    `any_of([lambda point=point: call('mount', 0, point.encode(), 0, 32 | 4096, 0) for point in mount_points()])`,
  ),
  asks(
    'removes the masks over /proc, /sys and /dev',
    `any_of([lambda point=point: call('umount2', point.encode(), 2) for point in mount_points(('/proc', '/sys', '/dev'))])`,
  ),
  asks('mounts with the new calls (fsopen)', `call('fsopen', b'tmpfs', 0)`),
  asks('changes a mount with the new calls (fspick)', `call('fspick', -100, b'/', 0)`),
  asks('copies a mount (open_tree)', `call('open_tree', -100, b'/', 1)`),
  asks('moves a mount', `call('move_mount', call('open_tree', -100, b'/etc', 1), b'', -100, b'/mnt', 4)`),
  asks(
    'changes the flags of all mounts',
    `call('mount_setattr', -100, b'/', 0x8000, struct.pack('<QQQQ', 0, 0, 1 << 18, 0), 32)`,
  ),
  asks('changes its root to another mount', `call('pivot_root', b'/', b'/')`, {
    none: 'it would change the root of the program itself',
  }),
  asks('changes its root (chroot)', `os.chroot('/')`, 'opened', { by: ['user'] }),
  asks(
    'leaves a changed root by an open folder, to look for files of the host',
    `folder = P['scratch'] + '/jail-%d' % os.getpid()
os.mkdir(folder)
outside = os.open('/', os.O_RDONLY)
os.chroot(folder)
os.fchdir(outside)
for _ in range(64): os.chdir('..')
os.chroot('.')
return read(P['hostFile'])`,
    'host',
    { wall: 'hostView' },
  ),
  ...(
    [
      ['user', 0x10000000],
      ['mount', 0x20000],
      ['network', 0x40000000],
      ['process', 0x20000000],
      ['IPC', 0x8000000],
      ['host name', 0x4000000],
      ['control group', 0x2000000],
      ['time', 0x80],
    ] as const
  ).map(([name, flag]) =>
    asks(`makes a new ${name} namespace`, `call('unshare', ${flag})`, 'opened', {
      // The program of a user namespace must have one thread and no changed root: batch.py has both.
      ...(name === 'time' ? { refusedWith: ['EINVAL'] } : {}),
    }),
  ),
  asks('makes a new user namespace by a fork (clone)', `if call('clone', 0x10000011, 0, 0, 0, 0) == 0: os._exit(0)`),
  asks(
    'makes a new user namespace by a fork whose flags are in memory (clone3)',
    `if call('clone3', ctypes.create_string_buffer(struct.pack('<QQQQQ', 0x10000000, 0, 0, 0, 17) + bytes(48)), 88) == 0: os._exit(0)`,
  ),
  asks(
    "enters the first process's network namespace",
    `call('setns', os.open('/proc/1/ns/net', os.O_RDONLY), 0x40000000)`,
  ),
  asks("enters the first process's mount namespace", `call('setns', call('pidfd_open', 1, 0), 0x20000)`),
  asks(
    'gives itself all capabilities',
    `header = ctypes.create_string_buffer(struct.pack('<Ii', 0x20080522, 0))
sets = ctypes.create_string_buffer(struct.pack('<IIIIII', 1 << 21, 1 << 21, 0, 0, 0, 0))
if libc.capset(header, sets) != 0: raise OSError(ctypes.get_errno(), '')`,
  ),
  asks(
    'starts a file that has capabilities',
    `program = P['scratch'] + '/capable-%d' % os.getpid()
shutil.copy(os.path.realpath(sys.executable), program)
os.chmod(program, 0o755)
os.setxattr(program, 'security.capability', struct.pack('<IIIII', 0x02000001, 1 << 21, 0, 0, 0))
sets = run(program, '-c', 'print([line for line in open("/proc/self/status") if line.startswith("CapEff")][0])')
if not int(sets.split()[1], 16) & 1 << 21: raise Refused(sets.strip())`,
    'opened',
    { refusedWith: ['ENOTSUP'] },
  ),
  asks('becomes a user that is none of the sandbox', `os.setuid(70000)`, 'opened', {
    wall: 'privilegesOutside',
    refusedWith: ['EINVAL'],
    harmlessInOwnKernel: 'the id exists in its own kernel only, and cannot be given to a file',
  }),
  asks(
    'gives a file to a user that is none of the sandbox',
    `path = P['scratch'] + '/given-%d' % os.getpid()
open(path, 'w').close()
os.chown(path, 70000, 70000)`,
    'opened',
    { wall: 'privilegesOutside', refusedWith: ['EINVAL'] },
  ),
  asks(
    'runs with the priority of real-time programs',
    `os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))`,
    'opened',
    {
      wall: 'shares',
      refusedWith: ['EINVAL'],
      harmlessInOwnKernel: 'its own kernel schedules it within the CPU time of the sandbox',
    },
  ),
  asks('raises its priority', `os.setpriority(os.PRIO_PROCESS, 0, -20)`, 'opened', {
    wall: 'shares',
    harmlessInOwnKernel: 'its own kernel schedules it within the CPU time of the sandbox',
  }),
  asks(
    "protects itself from the host's OOM killer",
    `write('/proc/self/oom_score_adj', b'-999')`,
    {
      none: 'root of the host may lack the right, too',
    },
    { wall: 'shares', harmlessInOwnKernel: 'the score inside is one of its own kernel' },
  ),
  asks(
    'raises its limit of open files',
    `soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
try: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
except ValueError as error: raise Refused(str(error))`,
    { none: 'root of the host may lack the right, too' },
    { wall: 'shares', harmlessInOwnKernel: 'the limit inside is one of its own kernel' },
  ),
];
