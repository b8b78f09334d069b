import { both } from '../attempt.ts';
import type { InsideAttempt } from '../attempt.ts';

type More = Partial<Pick<InsideAttempt, 'by' | 'refusedWith' | 'harmlessInOwnKernel' | 'wall'>>;

function asks(name: string, python: string, control: InsideAttempt['control'], more: More = {}): InsideAttempt {
  return { kind: 'inside', wall: 'processes', by: both, name, python, control, ...more };
}

/** Processes and IPC objects of the host, of a neighbor and of envd. */
export const processes: readonly InsideAttempt[] = [
  asks(
    "finds the server's process",
    `found = [name for name in os.listdir('/proc') if name.isdigit() and P['hostWord'].encode() in
  b''.join(open('/proc/%s/%s' % (name, file), 'rb').read() for file in ('cmdline',) if os.access('/proc/%s/%s' % (name, file), 4))]
if not found: raise Refused('none')`,
    'host',
  ),
  asks('signals a process of the host by its number', `os.kill(P['hostProcess'], 0)`, 'host', {
    refusedWith: ['ESRCH'],
  }),
  asks('opens a process of the host by its number', `call('pidfd_open', P['hostProcess'], 0)`, 'host', {
    refusedWith: ['ESRCH', 'EINVAL'],
  }),
  asks(
    'connects to an abstract socket of the host',
    `opened = socket.socket(socket.AF_UNIX)
opened.connect('\\0' + P['hostWord'])
return opened.recv(100)`,
    'host',
  ),
  asks(
    'connects to an abstract socket of a neighbor',
    `opened = socket.socket(socket.AF_UNIX)
opened.connect('\\0' + P['neighborWord'])
return opened.recv(100)`,
    'neighbor',
  ),
  asks(
    'lists the Unix sockets of the host',
    `if P['hostWord'] not in open('/proc/net/unix').read(): raise Refused('not listed')`,
    'host',
  ),
  asks(
    'opens a message queue of the host',
    `if libc.msgget(P['queue'], 0) < 0: raise OSError(ctypes.get_errno(), '')`,
    'host',
  ),
  asks(
    'opens a message queue of a neighbor',
    `if libc.msgget(P['queue'] + 1, 0) < 0: raise OSError(ctypes.get_errno(), '')`,
    'neighbor',
  ),
  asks('reads shared memory of a neighbor', `return read('/dev/shm/' + P['neighborWord'])`, 'neighbor'),
  asks('reads a file of a neighbor', `return read('/home/user/' + P['neighborWord'])`, 'neighbor'),
  asks(
    'connects to a port of a neighbor at its loopback',
    `return get('127.0.0.1', P['neighborPort'], '/')`,
    'neighbor',
  ),
  asks(
    'kills envd',
    `os.kill(1, signal.SIGKILL)`,
    { none: 'it would end the program that runs it' },
    { wall: 'envd', by: ['user'] },
  ),
  asks(
    'kills envd by other calls than kill',
    `any_of([
  lambda: call('pidfd_send_signal', call('pidfd_open', 1, 0), 9, 0, 0),
  lambda: call('tgkill', 1, 1, 9),
  lambda: call('tkill', 1, 9),
  lambda: call('rt_sigqueueinfo', 1, 9, struct.pack('<iii', 9, 0, -1) + bytes(116))])`,
    { none: 'it would end the program that runs it' },
    { wall: 'envd', by: ['user'] },
  ),
  asks(
    'traces envd',
    `libc.ptrace.argtypes = [ctypes.c_long] * 4
if libc.ptrace(0x4206, 1, 0, 0) != 0: raise OSError(ctypes.get_errno(), '')`,
    'opened',
    { wall: 'envd', by: ['user'] },
  ),
  asks("reads envd's memory", `os.open('/proc/1/mem', os.O_RDWR)`, 'opened', { wall: 'envd', by: ['user'] }),
  asks(
    "reads envd's memory by a system call",
    `line = open('/proc/1/maps').readline()
local = ctypes.create_string_buffer(64)
vector = lambda address: struct.pack('<QQ', address, 64)
call('process_vm_readv', 1, vector(ctypes.addressof(local)), 1, vector(int(line.split('-')[0], 16)), 1, 0)`,
    'opened',
    { wall: 'envd', by: ['user'] },
  ),
  asks("reads envd's environment", `return read('/proc/1/environ')`, 'opened', {
    wall: 'envd',
    by: ['user'],
    harmlessInOwnKernel: 'declared: gVisor shows the environment of every process (decision 012)',
  }),
  asks('takes a descriptor of envd', `raw(438, call('pidfd_open', 1, 0), 0, 0)`, 'opened', {
    wall: 'envd',
    by: ['user'],
  }),
  asks(
    'reads the host token',
    `return read('/run/soulbox/host-token')`,
    { none: 'only sandboxes have one' },
    { wall: 'envd', by: ['user'] },
  ),
  asks(
    "listens on envd's port",
    `opened = socket.socket()
opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
opened.bind(('0.0.0.0', 49983))
opened.listen()`,
    { none: 'the port is free elsewhere' },
    { wall: 'envd', refusedWith: ['EADDRINUSE'] },
  ),
  asks(
    "listens on envd's port at one address",
    `opened = socket.socket()
opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
opened.bind(('10.11.0.2', 49983))
opened.listen()`,
    { none: 'the port is free elsewhere' },
    { wall: 'envd', refusedWith: ['EADDRINUSE'] },
  ),
  asks(
    "overwrites envd's program through /proc (CVE-2019-5736)",
    `any_of([lambda flags=flags: os.open('/proc/1/exe', flags) for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC)] +
  [lambda: os.open('/proc/self/fd/%d' % os.open('/proc/1/exe', os.O_PATH), os.O_WRONLY)])`,
    { none: 'a program that runs cannot be opened for writing' },
    { wall: 'envd' },
  ),
  asks(
    "changes a file of envd's folder",
    `folder = os.path.dirname(os.readlink('/proc/1/exe')) if os.getuid() == 0 else '/.soulbox'
any_of([lambda: open(folder + '/redteam', 'w'), lambda: os.chmod(folder, 0o777), lambda: os.rename(folder, folder + '-x')])`,
    { none: 'only sandboxes have it' },
    { wall: 'envd', refusedWith: ['EBUSY'] },
  ),
];
