"""What the suites of POSIX share: a record of checks, errors by their names, and calls that Python does not have."""

import ctypes
import errno
import json
import os

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
# Names of one number: the one of the manual pages.
NAMES = {errno.EDEADLK: "EDEADLK", errno.ENOTSUP: "ENOTSUP", errno.EAGAIN: "EAGAIN"}

count = 0
differences = []
# For each call, the errors that it was seen to return.
errors = {}


def check(what, got, wanted):
    global count
    count += 1
    if got != wanted:
        differences.append(f"{what}: {got!r} instead of {wanted!r}")


def code(call, *args, **kwargs):
    """The name of the error, or what the call returns."""
    try:
        return call(*args, **kwargs)
    except OSError as error:
        return NAMES.get(error.errno) or errno.errorcode[error.errno]


def refused(name, why, error, call, *args, **kwargs):
    """The call `name` returns this error, for a reason that the record names."""
    result = code(call, *args, **kwargs)
    check(f"{name}, {why}", result, error)
    if result == error:
        errors.setdefault(name, set()).add(error)


def as_user(work, uid=4321):
    """Runs `work` in a process of this user and group, without other groups. Its checks count here."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        global count
        count = 0
        differences.clear()
        errors.clear()
        os.close(reading)
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            work()
        except BaseException as error:
            differences.append(f"{work.__name__} as another user: {error!r}")
        os.write(writing, report().encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf8") as pipe:
        take(json.load(pipe))
    os.waitpid(child, 0)


def in_child(work):
    """Runs `work` in another process of the same user. Its checks count here."""
    as_user(work, os.getuid())


def take(other):
    global count
    count += other["checks"]
    differences.extend(other["differences"])
    for name, names in other["errors"].items():
        errors.setdefault(name, set()).update(names)


def report():
    seen = {name: sorted(names) for name, names in sorted(errors.items())}
    return json.dumps({"checks": count, "differences": differences, "errors": seen})


def fails(result, name):
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def renameat2(old, new, flags):
    fails(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags), "renameat2")


def fallocate(fd, mode, offset, length):
    fails(libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)), "fallocate")


def access(path, mode=os.F_OK):
    """With the error, which os.access keeps."""
    fails(libc.access(os.fsencode(path), mode), "access")


def truncate(path, size):
    """Without a look at the size, which os.truncate takes as unsigned."""
    fails(libc.truncate(os.fsencode(path), ctypes.c_int64(size)), "truncate")


def ftruncate(fd, size):
    fails(libc.ftruncate(fd, ctypes.c_int64(size)), "ftruncate")


def getdents(fd):
    fails(libc.syscall(217 if os.uname().machine == "x86_64" else 61, fd, ctypes.create_string_buffer(1024), 1024), "getdents64")


def getxattr_into(path, name, size):
    return fails(libc.getxattr(os.fsencode(path), name.encode(), ctypes.create_string_buffer(size), size), "getxattr")


def listxattr_into(path, size):
    return fails(libc.listxattr(os.fsencode(path), ctypes.create_string_buffer(size), size), "listxattr")


def map_file(fd, protection, flags):
    libc.mmap.restype = ctypes.c_ssize_t
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
    fails(libc.mmap(None, 4096, protection, flags, fd, 0), "mmap")


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def create(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
