# Runs many attempts in one start of Python: inside a sandbox, and as a control on the host. Argument: a JSON file with
# `parameters`, `attempts` (`name`, `python`), `patience` (see egress.py) and `apart`, which gives each attempt mounts of
# its own. Prints one JSON line for each attempt.
import ctypes, errno, fcntl, json, mmap, os, platform, re, resource, shutil, signal, socket, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
# The time for a command.
secondsMax = 6
# The time for an attempt. Only one that hangs needs it: a busy host must not end any other.
alarmSeconds = 90

# [x86-64, arm64]; None: not on this machine.
numbers = {
  'acct': (163, 89), 'add_key': (248, 217), 'adjtimex': (159, 171), 'bpf': (321, 280), 'clock_settime': (227, 112),
  'clone': (56, 220), 'clone3': (435, 435), 'delete_module': (176, 106), 'fanotify_init': (300, 262),
  'finit_module': (313, 273), 'fsopen': (430, 430), 'fspick': (433, 433), 'init_module': (175, 105),
  'io_uring_setup': (425, 425), 'ioperm': (173, None), 'iopl': (172, None), 'kcmp': (312, 272),
  'kexec_file_load': (320, 294), 'kexec_load': (246, 104), 'keyctl': (250, 219), 'madvise': (28, 233),
  'mount': (165, 40), 'prctl': (157, 167),
  'mount_setattr': (442, 442), 'move_mount': (429, 429), 'name_to_handle_at': (303, 264),
  'open_by_handle_at': (304, 265), 'open_tree': (428, 428), 'perf_event_open': (298, 241), 'pidfd_open': (434, 434),
  'pidfd_send_signal': (424, 424), 'pivot_root': (155, 41), 'process_vm_readv': (310, 270), 'quotactl': (179, 60),
  'reboot': (169, 142), 'request_key': (249, 218), 'rt_sigqueueinfo': (129, 138), 'setdomainname': (171, 162), 'sethostname': (170, 161),
  'setns': (308, 268), 'swapon': (167, 224), 'syslog': (103, 116), 'tgkill': (234, 131), 'tkill': (200, 130), 'umount2': (166, 39), 'unshare': (272, 97),
  'userfaultfd': (323, 282), 'vhangup': (153, 58),
}


class Refused(Exception):
  pass


def call(name, *arguments):
  number = numbers[name][0 if platform.machine() == 'x86_64' else 1]
  if number is None: raise Refused('not on this machine')
  return raw(number, *arguments)


def raw(number, *arguments):
  convert = lambda value: ctypes.c_long(value) if isinstance(value, int) else value
  result = libc.syscall(ctypes.c_long(number), *[convert(value) for value in arguments])
  if result == -1: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
  return result


def write(path, text):
  descriptor = os.open(path, os.O_WRONLY)
  try: os.write(descriptor, text)
  finally: os.close(descriptor)


def read(path, size=65536):
  descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
  try: return os.read(descriptor, size)
  finally: os.close(descriptor)


def run(*arguments):
  done = subprocess.run(arguments, capture_output=True, text=True, timeout=secondsMax * patience)
  if done.returncode != 0: raise Refused((done.stderr or done.stdout or 'exit %d' % done.returncode).strip()[:200])
  return done.stdout


# The first of the operations that succeeds counts. Otherwise the errors of all are a refusal, or an unexpected one is
# passed on.
def any_of(operations):
  last = Refused('nothing to try')
  for operation in operations:
    try: return operation()
    except FileNotFoundError as error: last = error
    except OSError as error:
      last = error
      if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS, errno.ENXIO, errno.ENODEV,
        errno.EIO, errno.EINVAL, errno.ENOTDIR, errno.EISDIR, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT,
        errno.ESOCKTNOSUPPORT, errno.ESRCH, errno.ETXTBSY): raise
  if isinstance(last, OSError): raise Refused(errno.errorcode.get(last.errno, str(last)))
  raise last


def mount_points(prefixes=('',)):
  lines = open('/proc/self/mountinfo').read().splitlines()
  return [line.split(' ')[4] for line in lines if line.split(' ')[4].startswith(tuple(prefixes))]


def connect(host, port, kind=socket.SOCK_STREAM, seconds=1.0):
  family, _, _, _, address = socket.getaddrinfo(host, port, 0, kind)[0]
  opened = socket.socket(family, kind)
  opened.settimeout(seconds * patience)
  opened.connect(address)
  return opened


# An HTTP request, so that the other side can tell who has come.
def get(host, port, path):
  opened = connect(host, port)
  opened.sendall(b'GET ' + path.encode() + b' HTTP/1.0\r\n\r\n')
  answer = opened.recv(4096)
  if answer == b'': raise Refused('connected, but no answer')
  return answer


def attempt(source, parameters):
  body = 'def attempt(P):\n' + ''.join('  ' + line + '\n' for line in source.splitlines())
  names = dict(globals())
  try:
    exec(body, names)
    result = names['attempt'](parameters)
    return 'did', repr(result)[:300]
  except Refused as refusal: return 'refused', str(refusal)
  except subprocess.TimeoutExpired: return 'refused', 'timeout'
  except socket.timeout: return 'refused', 'ETIMEDOUT'
  except socket.gaierror as error: return 'refused', 'no address: %s' % error
  except OSError as error:
    return 'error', errno.errorcode.get(error.errno, str(error.errno))
  except BaseException as error: return 'broken', '%s: %s' % (type(error).__name__, error)


def run_one(entry, parameters, apart):
  reader, writer = os.pipe()
  sys.stdout.flush()
  child = os.fork()
  if child == 0:
    os.setpgid(0, 0)
    os.close(reader)
    signal.alarm(alarmSeconds)
    for number in (0, 1, 2):
      try: os.dup2(os.open('/dev/null', os.O_RDWR), number)
      except OSError: pass
    if apart: call('unshare', 0x20000)
    os.write(writer, json.dumps(attempt(entry['python'], parameters)).encode())
    os._exit(0)
  os.close(writer)
  startedAt = time.monotonic()
  text = b''
  while chunk := os.read(reader, 65536): text += chunk
  os.close(reader)
  _, status = os.waitpid(child, 0)
  try: os.killpg(child, signal.SIGKILL)
  except OSError: pass
  if text == b'':
    name = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else 'exit %d' % os.WEXITSTATUS(status)
    outcome, detail = 'error', name
  else: outcome, detail = json.loads(text)
  ms = round((time.monotonic() - startedAt) * 1000)
  print(json.dumps({'name': entry['name'], 'outcome': outcome, 'detail': detail, 'ms': ms}), flush=True)


order = json.load(open(sys.argv[1]))
patience = order['patience']
for entry in order['attempts']: run_one(entry, order['parameters'], order['apart'])
