"""Workloads that hold resources while they are saved, one generator each. A generator sets itself up until the first
`yield`. After each further `yield` it has been restored once more and checks that everything is unchanged. Run as
`workloads.py FOLDER [NAME...]`: each workload except those named writes `ready` or its error to FOLDER/NAME.CYCLE, and
continues when FOLDER/go.CYCLE exists."""

import ctypes, fcntl, hashlib, mmap, os, pty, select, signal, socket, stat, sys, threading, time, traceback
from multiprocessing import shared_memory

folder = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)


def memory():
    data = os.urandom(8 << 20)
    digest = hashlib.sha256(data).digest()
    while True:
        yield
        assert hashlib.sha256(data).digest() == digest


def reserved_addresses():
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    size = 1 << 40
    start = libc.mmap(None, size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    assert libc.mprotect(ctypes.c_void_p(start), 4096, mmap.PROT_READ | mmap.PROT_WRITE) == 0
    ctypes.memset(start, 7, 4096)
    while True:
        yield
        assert ctypes.string_at(start, 4096) == bytes([7]) * 4096
        assert f"-{start + size:x} ---p" in open("/proc/self/maps").read()


def shared_memory_of_a_family():
    shared = mmap.mmap(-1, 4096)
    child = fork(lambda: count_in(shared))
    while True:
        before = shared[0]
        yield
        wait_until(lambda: shared[0] != before, "the child does not write")
        os.kill(child, 0)


def count_in(shared):
    while True:
        shared[0] = (shared[0] + 1) % 256
        time.sleep(0.005)


def processes():
    reader, writer = os.pipe()
    child = fork(lambda: (os.write(writer, str(os.getpid()).encode()), time.sleep(3600)))
    assert int(os.read(reader, 10)) == child
    me, parent, session, uid = os.getpid(), os.getppid(), os.getsid(0), os.getuid()
    while True:
        yield
        assert (me, parent, session, uid) == (os.getpid(), os.getppid(), os.getsid(0), os.getuid())
        exiting = fork(lambda: os._exit(7))
        assert os.waitstatus_to_exitcode(os.waitpid(exiting, 0)[1]) == 7
        assert os.waitpid(child, os.WNOHANG) == (0, 0)


def threads():
    counts = [0, 0, 0]
    lock = threading.Lock()

    def work(index):
        while True:
            with lock:
                counts[index] += 1
            time.sleep(0.001)

    for index in range(3):
        threading.Thread(target=work, args=(index,), daemon=True).start()
    while True:
        yield
        before = list(counts)
        wait_until(lambda: all(now > then for now, then in zip(counts, before)), "a thread stands still")


def an_ordinary_users_process():
    os.setgid(1000)
    os.setuid(1000)
    while True:
        yield
        assert os.getresuid() == (1000, 1000, 1000) and os.getresgid() == (1000, 1000, 1000)
        try:
            os.setuid(0)
        except PermissionError:
            continue
        raise AssertionError("became root")


def open_file():
    file = os.open("/srv/open-file", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    written = b""
    while True:
        os.write(file, b"more")
        written += b"more"
        os.lseek(file, 3, os.SEEK_SET)
        yield
        assert os.read(file, 1000) == written[3:]


def deleted_file():
    file = os.open("/srv/deleted-file", os.O_RDWR | os.O_CREAT)
    os.unlink("/srv/deleted-file")
    os.write(file, b"x" * 100_000)
    while True:
        yield
        assert os.pread(file, 200_000, 0) == b"x" * 100_000 and not os.path.exists("/srv/deleted-file")


def working_directory():
    os.mkdir("/srv/inside")
    os.chdir("/srv/inside")
    while True:
        yield
        open("here", "w").close()
        assert os.path.exists("/srv/inside/here")


def mapped_file():
    file = os.open("/srv/mapped-file", os.O_RDWR | os.O_CREAT)
    os.ftruncate(file, 4096)
    mapped = mmap.mmap(file, 4096)
    while True:
        mapped[:4] = b"kept"
        yield
        assert mapped[:4] == b"kept" and os.pread(file, 4, 0) == b"kept"


def pipe_with_something_in_it():
    reader, writer = os.pipe()
    while True:
        os.write(writer, b"in the pipe")
        yield
        assert os.read(reader, 100) == b"in the pipe"


def named_pipe():
    os.mkfifo("/srv/fifo")
    file = os.open("/srv/fifo", os.O_RDWR)
    while True:
        os.write(file, b"named")
        yield
        assert os.read(file, 100) == b"named"


def unix_sockets():
    one, other = socket.socketpair()
    server = socket.socket(socket.AF_UNIX)
    server.bind("/srv/unix-socket")
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("/srv/unix-socket")
    accepted, _ = server.accept()
    while True:
        one.send(b"pair")
        client.send(b"named")
        yield
        assert other.recv(100) == b"pair" and accepted.recv(100) == b"named"
        late = socket.socket(socket.AF_UNIX)
        late.connect("/srv/unix-socket")
        server.accept()[0].close()


def unix_socket_bound_through_absolute_links():
    os.mkdir("/srv/behind")
    os.symlink("/srv/behind", "/srv/link")
    os.symlink("/srv/link", "/srv/link-to-link")
    server = socket.socket(socket.AF_UNIX)
    server.bind("/srv/link-to-link/socket")
    os.chown("/srv/behind/socket", 1000, 1001)
    os.chmod("/srv/behind/socket", 0o620)
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("/srv/link/socket")
    accepted, _ = server.accept()
    while True:
        client.send(b"through the link")
        yield
        assert accepted.recv(100) == b"through the link"
        status = os.stat("/srv/behind/socket")
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o620, 1000, 1001)
        late = socket.socket(socket.AF_UNIX)
        late.connect("/srv/behind/socket")
        server.accept()[0].close()


def connection_that_nobody_accepted():
    server = socket.create_server(("127.0.0.1", 0))
    while True:
        early = socket.create_connection(server.getsockname())
        early.sendall(b"early")
        yield
        # A driver may lose it, but the server goes on.
        early.close()
        late = socket.create_connection(server.getsockname())
        late.sendall(b"late")
        wait_until(lambda: server.accept()[0].recv(10) == b"late", "the late connection is not accepted")


def tcp_over_loopback():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    while True:
        client.sendall(b"on its way")
        yield
        assert accepted.recv(100) == b"on its way"
        accepted.sendall(b"and back")
        assert client.recv(100) == b"and back"
        late = socket.create_connection(server.getsockname())
        server.accept()[0].close()
        assert late.recv(1) == b""


def udp_over_loopback():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        yield
        client.sendto(b"hello", server.getsockname())
        assert server.recv(100) == b"hello"


def terminal():
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", "stty -echo; kept=value; while read line; do echo \"$kept $line $(tty)\"; done"])
    time.sleep(0.3)
    while True:
        os.write(master, b"hello\n")
        yield
        wait_until(lambda: b"value hello /dev/pts/" in os.read(master, 1000), "the terminal is mute")


def terminal_by_its_common_name():
    pid, master = pty.fork()
    if pid == 0:
        asked = 0
        while True:
            input()
            asked += 1
            with open("/dev/tty", "w") as tty:
                tty.write(f"asked {asked} on {os.ttyname(1)}\n")
    number = 0
    while True:
        number += 1
        yield
        os.write(master, b"go\n")
        expected = f"asked {number} on /dev/pts/".encode()
        wait_until(lambda: expected in os.read(master, 1000), "the terminal is mute")


def interval_timer():
    ticks = []
    signal.signal(signal.SIGALRM, lambda *_: ticks.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    while True:
        yield
        ticks.clear()
        end = time.monotonic() + 2
        while time.monotonic() < end:
            time.sleep(0.1)
        assert 10 <= len(ticks) <= 22, f"{len(ticks)} ticks in 2 s"


def sleeping_thread():
    woken = []

    def sleep_on():
        while True:
            time.sleep(0.1)
            woken.append(1)

    threading.Thread(target=sleep_on, daemon=True).start()
    while True:
        yield
        woken.clear()
        time.sleep(1)
        assert 5 <= len(woken) <= 11, f"woken {len(woken)} times in 1 s"


def file_watch():
    os.mkdir("/srv/watched")
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, b"/srv/watched", 0x100) > 0
    number = 0
    while True:
        yield
        number += 1
        open(f"/srv/watched/file-{number}", "w").close()
        wait_until(lambda: f"file-{number}".encode() in read_some(watch), "the watch sees nothing")


def lock():
    mine = os.open("/srv/locked", os.O_RDWR | os.O_CREAT)
    fcntl.flock(mine, fcntl.LOCK_EX)
    while True:
        yield
        other = os.open("/srv/locked", os.O_RDWR)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(other)
            continue
        raise AssertionError("the lock was lost")


def posix_shared_memory():
    mine = shared_memory.SharedMemory("workload", create=True, size=4096)
    while True:
        mine.buf[:4] = b"mine"
        yield
        other = shared_memory.SharedMemory("workload", track=False)
        assert bytes(other.buf[:4]) == b"mine" and os.path.exists("/dev/shm/workload")
        other.close()


def system_v_message_queue():
    queue = libc.msgget(0, 0o1600)
    message = ctypes.create_string_buffer(b"\1\0\0\0\0\0\0\0queued", 64)
    while True:
        assert libc.msgsnd(queue, message, 6, 0) == 0
        yield
        received = ctypes.create_string_buffer(64)
        assert libc.msgrcv(queue, received, 50, 0, 0) == 6 and received.raw[8:14] == b"queued"


def event_descriptors():
    event = os.eventfd(0)
    timer = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK)
    os.timerfd_settime(timer, initial=3600)
    while True:
        os.eventfd_write(event, 5)
        yield
        assert os.eventfd_read(event) == 5
        assert 0 < os.timerfd_gettime(timer)[0] <= 3600


def epoll_that_forgot_a_file():
    kept, other = socket.socketpair()
    epoll = select.epoll()
    epoll.register(kept.fileno(), select.EPOLLIN)
    while True:
        closed, peer = socket.socketpair()
        epoll.register(closed.fileno(), select.EPOLLIN)
        for sender in (other, peer):
            sender.send(b"x")
        assert len(epoll.poll(1)) == 2
        for receiver in (kept, closed):
            receiver.recv(1)
        assert epoll.poll(0) == []
        epoll.unregister(closed.fileno())
        closed.close()
        peer.close()
        yield
        assert epoll.poll(0) == []
        other.send(b"y")
        assert epoll.poll(1) == [(kept.fileno(), select.EPOLLIN)] and kept.recv(1) == b"y"


def the_clock_that_never_jumps():
    while True:
        before = time.monotonic()
        yield
        assert 0 <= time.monotonic() - before < 60


def fork(action):
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(1)
    return pid


def read_some(descriptor):
    try:
        return os.read(descriptor, 4096)
    except BlockingIOError:
        return b""


def wait_until(holds, otherwise):
    for _ in range(500):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError(otherwise)


def run(name, workload):
    os.setsid()
    steps = workload()
    cycle = 0
    while True:
        try:
            next(steps)
            outcome = "ready"
        except BaseException:
            outcome = traceback.format_exc()
        report = os.path.join(folder, f"{name}.{cycle}")
        with open(report + ".part", "w") as file:
            file.write(outcome)
        os.rename(report + ".part", report)
        if outcome != "ready":
            return
        cycle += 1
        while not os.path.exists(os.path.join(folder, f"go.{cycle}")):
            time.sleep(0.02)


workloads = {
    name: value
    for name, value in globals().items()
    if isinstance(value, type(run)) and value.__code__.co_argcount == 0 and name not in sys.argv[2:]
}
os.makedirs(folder)
os.chmod(folder, 0o777)
for name, workload in workloads.items():
    fork(lambda: run(name, workload))
while True:
    signal.pause()
