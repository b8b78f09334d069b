import { both } from '../attempt.ts';
import type { InsideAttempt } from '../attempt.ts';
import type { Wall } from '../walls.ts';

type Control = InsideAttempt['control'];

function asks(
  name: string,
  python: string,
  control: Control = 'opened',
  more: Partial<Pick<InsideAttempt, 'by' | 'refusedWith' | 'harmlessInOwnKernel' | 'wall'>> = {},
): InsideAttempt {
  const wall: Wall = 'kernelSurface';
  return { kind: 'inside', wall, by: both, name, python, control, ...more };
}

/** The control would stay mergeable, in the process that runs all of them. */
const ofKsm = [
  { none: 'it would change the process of the controls' },
  { refusedWith: ['EINVAL'], harmlessInOwnKernel: 'its kernel offers nothing to that of the host' },
] as const;
const dangerous = { none: 'it would harm the host' } as const;

/** System calls whose code in the kernel no sandbox needs. */
export const kernelCalls: readonly InsideAttempt[] = [
  asks('adds a key to a keyring of the kernel', `call('add_key', b'user', b'redteam', b'x', 1, -3)`),
  asks('joins another keyring session', `call('keyctl', 1, b'redteam')`),
  asks('searches the keyrings for a key', `call('request_key', b'user', P['key'].encode(), 0, 0)`, {
    none: 'no key of that name exists',
  }),
  asks(
    'creates a BPF map',
    `attributes = ctypes.create_string_buffer(struct.pack('<IIII', 1, 4, 4, 1) + bytes(112))
call('bpf', 0, attributes, 128)`,
  ),
  asks(
    'loads a BPF program',
    `code = ctypes.create_string_buffer(struct.pack('<BBhiBBhi', 0xb7, 0, 0, 0, 0x95, 0, 0, 0))
licence = ctypes.create_string_buffer(b'GPL')
attributes = struct.pack('<IIQQIIQI', 1, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0)
call('bpf', 5, ctypes.create_string_buffer(attributes + bytes(128 - len(attributes))), 128)`,
  ),
  asks(
    'opens a performance counter',
    `attributes = ctypes.create_string_buffer(struct.pack('<IIQ', 1, 112, 0) + bytes(96))
call('perf_event_open', attributes, 0, -1, -1, 0)`,
  ),
  asks('handles page faults itself (userfaultfd)', `call('userfaultfd', 1)`),
  asks('opens /dev/userfaultfd', `os.open('/dev/userfaultfd', os.O_RDWR)`, { none: 'not on every host' }),
  ...[12, 2 ** 32 + 12].map((advice) =>
    asks(
      `offers memory to KSM, which merges it with that of others (madvise, ${advice})`,
      `area = mmap.mmap(-1, 4096)
call('madvise', ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(area))), 4096, ${advice})`,
      ...ofKsm,
    ),
  ),
  ...[67, 2 ** 32 + 67].map((option) =>
    asks(`offers all its memory to KSM (prctl, ${option})`, `call('prctl', ${option}, 1, 0, 0, 0)`, ...ofKsm),
  ),
  asks('opens an io_uring', `call('io_uring_setup', 8, ctypes.create_string_buffer(120))`),
  asks('loads a kernel for a reboot', `call('kexec_load', 0, 0, 0, 0)`, dangerous),
  asks('loads a kernel from a file', `call('kexec_file_load', -1, -1, 0, 0, 4)`, dangerous),
  asks('loads a module from memory', `call('init_module', ctypes.create_string_buffer(64), 64, b'')`, dangerous),
  asks('loads a module from a file', `call('finit_module', os.open('/etc/hostname', os.O_RDONLY), b'', 0)`, dangerous),
  asks('removes a module', `call('delete_module', b'loop', 0)`, dangerous),
  asks('runs modprobe', `run('modprobe', 'dummy')`, dangerous),
  asks(
    'makes the kernel load modules by using rare socket families',
    `any_of([lambda family=family, kind=kind: socket.socket(family, kind, 0)
  for family, kind in ((38, 5), (40, 1), (31, 3), (29, 3), (30, 4), (21, 5), (44, 3), (15, 3), (9, 5), (33, 2), (36, 3), (37, 5), (41, 5))])`,
  ),
  asks('reads the log of the kernel', `call('syslog', 3, ctypes.create_string_buffer(4096), 4096)`),
  asks('gets access to all I/O ports', `call('iopl', 3)`, { none: 'not every kernel has it' }),
  asks('gets access to one I/O port', `call('ioperm', 0x80, 1, 1)`, { none: 'not every kernel has it' }),
  asks('hangs up the terminal', `call('vhangup')`, dangerous),
  asks('compares kernel pointers of two processes', `call('kcmp', os.getpid(), 1, 1, 0, 0)`),
  asks('reboots the machine', `call('reboot', 0xfee1dead, 672274793, 0x89abcdef, 0)`, dangerous),
  asks('adds swap', `call('swapon', b'/etc/hostname', 0)`, dangerous),
  asks('changes quotas', `call('quotactl', 0x80000200, b'/dev/loop0', 0, 0)`, dangerous),
  asks('records all processes that end', `call('acct', (P['scratch'] + '/acct').encode())`, dangerous),
  asks('watches all files of a file system', `call('fanotify_init', 0, 0)`),
  asks(
    'opens a file by its handle, past all paths',
    `handle = ctypes.create_string_buffer(struct.pack('<Ii', 128, 0) + bytes(128))
mount = ctypes.c_int()
call('name_to_handle_at', -100, b'/etc/passwd', handle, ctypes.byref(mount), 0)
call('open_by_handle_at', os.open('/etc', os.O_RDONLY), handle, 0)`,
    'opened',
    { refusedWith: ['ENOTSUP'] },
  ),
  asks('sets the clock', `call('clock_settime', 0, struct.pack('<qq', 978307200, 0))`, dangerous),
  asks(
    'changes the speed of the clock',
    `call('adjtimex', ctypes.create_string_buffer(struct.pack('<Iiq', 0x2, 0, 500 << 16) + bytes(192)))`,
    dangerous,
  ),
  asks('changes the host name', `call('sethostname', b'redteam', 7)`),
  asks('changes the domain name', `call('setdomainname', b'redteam', 7)`),
  asks(
    'makes a system call of 32-bit programs, which have another table',
    `if platform.machine() != 'x86_64': raise Refused('not on this machine')
page = mmap.mmap(-1, 4096, prot=7)
page.write(b'\\x53\\xb8' + struct.pack('<I', 310) + b'\\xbb' + struct.pack('<I', 0x04000000) + b'\\xcd\\x80\\x5b\\xc3')
before = os.readlink('/proc/self/ns/uts')
result = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
if os.readlink('/proc/self/ns/uts') == before: raise OSError(-result if -200 < result < 0 else errno.ENOSYS, '')`,
    { none: 'not every kernel has 32-bit calls' },
    { refusedWith: ['SIGSEGV', 'SIGSYS'] },
  ),
  asks(
    'makes a system call of the x32 table',
    `raw(0x40000000 + 272, 0x04000000)`,
    { none: 'hardly any kernel has that table' },
    { refusedWith: ['SIGSYS'] },
  ),
  asks(
    'lets a debugger change an allowed system call into a refused one',
    `if platform.machine() != 'x86_64': raise Refused('not on this machine')
before = os.readlink('/proc/self/ns/uts')
child = os.fork()
if child == 0:
  libc.ptrace(0, 0, 0, 0)
  os.kill(os.getpid(), signal.SIGSTOP)
  libc.syscall(110)
  os._exit(7 if os.readlink('/proc/self/ns/uts') != before else 3)
libc.ptrace.argtypes = [ctypes.c_long] * 4
libc.ptrace.restype = ctypes.c_long
os.waitpid(child, 0)
changed = False
while True:
  if libc.ptrace(24, child, 0, 0) != 0: raise Refused('no tracing')
  _, status = os.waitpid(child, 0)
  if os.WIFEXITED(status): break
  if os.WIFSIGNALED(status): raise Refused('ended')
  if not changed and libc.ptrace(3, child, 120, 0) == 110:
    changed = True
    libc.ptrace(6, child, 120, 272)
    libc.ptrace(6, child, 112, 0x04000000)
if not changed: raise OSError(errno.EBADE, 'the call was not seen')
if os.WEXITSTATUS(status) != 7: raise Refused('the changed call was refused')`,
  ),
  asks(
    'removes its system call filter',
    `if libc.prctl(22, 0, 0, 0, 0) != 0: raise OSError(ctypes.get_errno(), '')`,
    {
      none: 'the host has no filter',
    },
    { refusedWith: ['EINVAL'] },
  ),
];
