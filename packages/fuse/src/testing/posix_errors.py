"""What each call returns in place of a result: a line for each reason."""

import fcntl
import mmap
import os
import resource
import signal

import posix_limits
from posix_checks import (
    access, as_user, check, code, errors, fallocate, ftruncate, getdents, getxattr_into, in_child,
    listxattr_into, map_file, refused, renameat2, truncate, write,
)

# What is called with a path, which may be missing, and leaves no trace.
OLD = {
    "access": access,
    "chdir": os.chdir,
    "chmod": lambda path: os.chmod(path, 0o644),
    "chown": lambda path: os.chown(path, -1, -1),
    "execve": lambda path: os.execv(path, ["program"]),
    "getxattr": lambda path: os.getxattr(path, "user.none"),
    "link": lambda path: os.link(path, "posix-link"),
    "listxattr": os.listxattr,
    "open": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "readlink": os.readlink,
    "removexattr": lambda path: os.removexattr(path, "user.none"),
    "rename": lambda path: os.rename(path, "posix-renamed"),
    "rmdir": os.rmdir,
    "setxattr": lambda path: os.setxattr(path, "user.none", b""),
    "stat": os.stat,
    "statfs": os.statvfs,
    "truncate": lambda path: truncate(path, 0),
    "unlink": os.unlink,
    "utimensat": os.utime,
}
# What makes a name.
NEW = {
    "link": lambda path: os.link("file", path),
    "mkdir": os.mkdir,
    "mknod": os.mkfifo,
    "open": lambda path: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)),
    "rename": lambda path: os.rename("file", path),
    "symlink": lambda path: os.symlink("target", path),
}
# The same in an open folder.
NEW_AT = {
    "link": lambda fd: os.link("file", "name", dst_dir_fd=fd),
    "mkdir": lambda fd: os.mkdir("name", dir_fd=fd),
    "mknod": lambda fd: os.mkfifo("name", dir_fd=fd),
    "open": lambda fd: os.open("name", os.O_CREAT | os.O_WRONLY, dir_fd=fd),
    "rename": lambda fd: os.rename("file", "name", dst_dir_fd=fd),
    "symlink": lambda fd: os.symlink("target", "name", dir_fd=fd),
}
# The last part of their path is not followed if it is a link.
NOT_FOLLOWED = {"link", "readlink", "rename", "rmdir", "unlink"}


def paths(options):
    """What every call says of a path that leads nowhere."""
    for name, call in OLD.items():
        if name.endswith("xattr") and not options.xattrs:
            continue
        refused(name, "a missing name", "ENOENT", call, "missing")
        refused(name, "an empty path", "ENOENT", call, "")
        if name not in NOT_FOLLOWED:
            refused(name, "a link to nothing", "ENOENT", call, "to-nothing")
            refused(name, "a link to itself", "ELOOP", call, "loop")
    for kind, calls in (("a path", OLD), ("a new path", NEW)):
        for name, call in calls.items():
            if name.endswith("xattr") and not options.xattrs:
                continue
            refused(name, f"{kind} in a missing folder", "ENOENT", call, "missing/name")
            refused(name, f"{kind} below a file", "ENOTDIR", call, "file/name")
            refused(name, f"{kind} through a link to itself", "ELOOP", call, "loop/name")
            refused(name, f"{kind} with a name of 256 bytes", "ENAMETOOLONG", call, "n" * 256)
            refused(name, f"{kind} of 4,096 bytes", "ENAMETOOLONG", call, "./" * 2047 + "ab")


def names(options):
    refused("link", "over a name", "EEXIST", os.link, "file", "folder")
    refused("mkdir", "over a name", "EEXIST", os.mkdir, "file")
    refused("mknod", "over a name", "EEXIST", os.mkfifo, "file")
    refused("symlink", "over a name", "EEXIST", os.symlink, "target", "loop")
    refused("open", "O_EXCL over a name", "EEXIST", os.open, "file", os.O_CREAT | os.O_EXCL)
    refused("open", "O_EXCL over a link to nothing", "EEXIST", os.open, "to-nothing", os.O_CREAT | os.O_EXCL)
    refused("renameat2", "RENAME_NOREPLACE over a name", "EEXIST", renameat2, "file", "folder", 1)
    if options.exchange:
        refused("renameat2", "RENAME_EXCHANGE with nothing", "ENOENT", renameat2, "file", "missing", 2)
        refused("renameat2", "RENAME_EXCHANGE with a folder around it", "EINVAL", renameat2, "folder/below", "folder", 2)
    refused("renameat2", "RENAME_WHITEOUT", "EINVAL", renameat2, "file", "whiteout", 4)
    refused("renameat2", "flags that exclude each other", "EINVAL", renameat2, "file", "folder", 3)
    refused("link", "a folder", "EPERM", os.link, "folder", "second")
    refused("link", "to another file system", "EXDEV", os.link, "file", "/dev/posix-link")
    refused("rename", "to another file system", "EXDEV", os.rename, "file", "/dev/posix-renamed")
    refused("rename", "a file over a folder", "EISDIR", os.rename, "file", "folder")
    refused("rename", "a folder over a file", "ENOTDIR", os.rename, "folder", "file")
    refused("rename", "over a folder with entries", "ENOTEMPTY", os.rename, "empty", "folder")
    refused("rename", "into itself", "EINVAL", os.rename, "folder", "folder/below/inside")
    refused("rename", "the folder itself", "EBUSY", os.rename, "folder/.", "second")
    refused("rename", "the folder above", "EBUSY", os.rename, "folder/..", "second")
    refused("rmdir", "with entries", "ENOTEMPTY", os.rmdir, "folder")
    refused("rmdir", "the folder above", "ENOTEMPTY", os.rmdir, "folder/..")
    refused("rmdir", "the folder itself", "EINVAL", os.rmdir, "folder/.")
    refused("rmdir", "a file", "ENOTDIR", os.rmdir, "file")
    refused("rmdir", "a link to a folder", "ENOTDIR", os.rmdir, "to-folder")
    refused("unlink", "a folder", "EISDIR", os.unlink, "folder")
    refused("unlink", "a file as a folder", "ENOTDIR", os.unlink, "file/")
    refused("readlink", "a file", "EINVAL", os.readlink, "file")
    refused("symlink", "an empty target", "ENOENT", os.symlink, "", "second")
    refused("symlink", "a target of 4,096 bytes", "ENAMETOOLONG", os.symlink, "t" * 4096, "second")
    refused("chdir", "a file", "ENOTDIR", os.chdir, "file")
    held = os.open("removed", os.O_RDONLY)
    os.rmdir("removed")
    for name, call in NEW_AT.items():
        refused(name, "in a removed folder", "ENOENT", call, held)
    os.close(held)


def opens(options):
    refused("open", "a folder to write", "EISDIR", os.open, "folder", os.O_WRONLY)
    refused("open", "O_CREAT of a folder", "EISDIR", os.open, "folder", os.O_CREAT | os.O_RDWR)
    refused("open", "a new name that ends with a slash", "EISDIR", os.open, "new/", os.O_CREAT | os.O_WRONLY)
    refused("open", "O_DIRECTORY of a file", "ENOTDIR", os.open, "file", os.O_DIRECTORY)
    refused("open", "O_NOFOLLOW of a link", "ELOOP", os.open, "to-file", os.O_NOFOLLOW)
    refused("open", "O_TMPFILE in a file", "ENOTDIR", os.open, "file", os.O_TMPFILE | os.O_RDWR)
    refused("open", "O_TMPFILE in a missing folder", "ENOENT", os.open, "missing", os.O_TMPFILE | os.O_RDWR)
    refused("open", "O_TMPFILE only to read", "EINVAL", os.open, "folder", os.O_TMPFILE)
    refused("open", "a fifo that nobody reads", "ENXIO", os.open, "fifo", os.O_WRONLY | os.O_NONBLOCK)
    if options.sockets:
        refused("open", "a socket", "ENXIO", os.open, "socket", os.O_RDONLY)
    if options.devices:
        refused("open", "a device", "EACCES", os.open, "device", os.O_RDONLY)


def programs():
    refused("execve", "without the right", "EACCES", os.execv, "file", ["file"])
    refused("execve", "a folder", "EACCES", os.execv, "folder", ["folder"])
    os.chmod("program", 0o755)
    refused("execve", "no program", "ENOEXEC", os.execv, "program", ["program"])
    held = os.open("program", os.O_WRONLY)
    refused("execve", "a file that is open to write", "ETXTBSY", os.execv, "program", ["program"])
    os.close(held)
    # A program that runs is one of the machine, copied here.
    with open("/bin/sleep", "rb") as source:
        write("sleep", source.read())
    os.chmod("sleep", 0o755)
    child = os.posix_spawn("sleep", ["sleep", "60"], {})
    try:
        refused("open", "a program that runs, to write", "ETXTBSY", os.open, "sleep", os.O_WRONLY)
        refused("truncate", "a program that runs", "ETXTBSY", truncate, "sleep", 0)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.unlink("sleep")


def contents(options):
    reading = os.open("file", os.O_RDONLY)
    writing = os.open("file", os.O_WRONLY)
    both = os.open("file", os.O_RDWR)
    folder = os.open("folder", os.O_RDONLY)
    other = os.open("other", os.O_RDWR | os.O_CREAT, 0o644)
    refused("read", "a folder", "EISDIR", os.read, folder, 1)
    refused("read", "open to write only", "EBADF", os.read, writing, 1)
    refused("read", "before the start", "EINVAL", os.pread, both, 1, -1)
    refused("write", "open to read only", "EBADF", os.write, reading, b"x")
    refused("write", "before the start", "EINVAL", os.pwrite, both, b"x", -1)
    refused("getdents64", "a file", "ENOTDIR", getdents, both)
    refused("lseek", "before the start", "EINVAL", os.lseek, both, -1, os.SEEK_SET)
    refused("lseek", "an unknown start", "EINVAL", os.lseek, both, 0, 99)
    refused("lseek", "SEEK_DATA at the end", "ENXIO", os.lseek, both, 100_001, os.SEEK_DATA)
    refused("lseek", "SEEK_HOLE at the end", "ENXIO", os.lseek, both, 100_001, os.SEEK_HOLE)
    refused("ftruncate", "below zero", "EINVAL", ftruncate, both, -1)
    refused("ftruncate", "open to read only", "EINVAL", ftruncate, reading, 1)
    refused("truncate", "below zero", "EINVAL", truncate, "file", -1)
    refused("truncate", "a folder", "EISDIR", truncate, "folder", 0)
    refused("copy_file_range", "from one open to write only", "EBADF", os.copy_file_range, writing, other, 1)
    refused("copy_file_range", "to one open to read only", "EBADF", os.copy_file_range, other, reading, 1)
    refused("copy_file_range", "a folder", "EISDIR", os.copy_file_range, folder, both, 1)
    refused("copy_file_range", "over itself", "EINVAL", os.copy_file_range, both, both, 100, 0, 50)
    if options.fallocate:
        refused("fallocate", "open to read only", "EBADF", fallocate, reading, 0, 0, 1)
        refused("fallocate", "nothing", "EINVAL", fallocate, both, 0, 0, 0)
        refused("fallocate", "before the start", "EINVAL", fallocate, both, 0, -1, 1)
        refused("fallocate", "FALLOC_FL_COLLAPSE_RANGE", "ENOTSUP", fallocate, both, 8, 0, 4096)
        refused("fallocate", "a hole that would change the size", "ENOTSUP", fallocate, both, 2, 0, 4096)
    shared, private = mmap.MAP_SHARED, mmap.MAP_PRIVATE
    refused("mmap", "a folder", "ENODEV", map_file, folder, mmap.PROT_READ, private)
    refused("mmap", "open to write only", "EACCES", map_file, writing, mmap.PROT_READ, private)
    refused("mmap", "to write what is open to read only", "EACCES", map_file, reading, mmap.PROT_WRITE, shared)
    if options.longest:
        refused("write", "beyond the longest file of the server", "EFBIG", synced, both, options.longest)
        refused("ftruncate", "beyond the longest file of the server", "EFBIG", ftruncate, both, options.longest + 1)
        refused("truncate", "beyond the longest file of the server", "EFBIG", truncate, "file", options.longest + 1)
        refused("fallocate", "beyond the longest file of the server", "EFBIG", fallocate, both, 0, options.longest, 1)
    for fd in (reading, writing, both, folder, other):
        os.close(fd)
    os.unlink("other")
    in_child(limited)


def synced(fd, offset):
    """With the write-back cache, only fsync has the answer."""
    os.pwrite(fd, b"x", offset)
    os.fsync(fd)


def limited():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    fd = os.open("file", os.O_RDWR)
    refused("write", "beyond the limit of the process", "EFBIG", os.pwrite, fd, b"x", 200_000)
    refused("ftruncate", "beyond the limit of the process", "EFBIG", ftruncate, fd, 200_001)


def xattrs():
    os.setxattr("file", "user.there", b"value")
    refused("getxattr", "a missing one", "ENODATA", os.getxattr, "file", "user.missing")
    refused("getxattr", "a short buffer", "ERANGE", getxattr_into, "file", "user.there", 1)
    refused("getxattr", "a name of 256 bytes", "ERANGE", os.getxattr, "file", "user." + "n" * 251)
    refused("listxattr", "a short buffer", "ERANGE", listxattr_into, "file", 1)
    refused("setxattr", "XATTR_CREATE over one", "EEXIST", os.setxattr, "file", "user.there", b"", os.XATTR_CREATE)
    refused("setxattr", "XATTR_REPLACE of a missing one", "ENODATA", os.setxattr, "file", "user.missing", b"", os.XATTR_REPLACE)
    refused("setxattr", "unknown flags", "EINVAL", os.setxattr, "file", "user.there", b"", 64)
    refused("setxattr", "of the user on a fifo", "EPERM", os.setxattr, "fifo", "user.one", b"")
    refused("setxattr", "a name of 256 bytes", "ERANGE", os.setxattr, "file", "user." + "n" * 251, b"")
    refused("setxattr", "a value of more than 64 KiB", "E2BIG", os.setxattr, "file", "user.long", bytes(65_537))
    refused("setxattr", "64 KiB with the name", "ENOSPC", os.setxattr, "file", "user.long", bytes(65_536))
    refused("setxattr", "an access list", "ENOTSUP", os.setxattr, "file", "system.posix_acl_access", b"\2\0\0\0")
    refused("setxattr", "a list of defaults", "ENOTSUP", os.setxattr, "folder", "system.posix_acl_default", b"\2\0\0\0")
    for name in ("none.such", "without", "user"):
        refused("setxattr", f"an unknown namespace ({name})", "ENOTSUP", os.setxattr, "file", name, b"")
    refused("removexattr", "a missing one", "ENODATA", os.removexattr, "file", "user.missing")
    os.removexattr("file", "user.there")
    as_user(xattrs_of_others)


def xattrs_of_others():
    refused("setxattr", "without the right to write", "EACCES", os.setxattr, "file", "user.mine", b"")
    refused("removexattr", "without the right to write", "EACCES", os.removexattr, "file", "user.mine")
    refused("getxattr", "without the right to read", "EACCES", os.getxattr, "secret", "user.mine")
    refused("setxattr", "of the administrator", "EPERM", os.setxattr, "file", "trusted.mine", b"")
    refused("getxattr", "of the administrator", "ENODATA", os.getxattr, "file", "trusted.mine")


def rights(options):
    """Of another user than the owner."""
    for name, call in OLD.items():
        if name.endswith("xattr") and not options.xattrs:
            continue
        refused(name, "in a folder without the right to search", "EACCES", call, "closed/name")
    for name, call in NEW.items():
        if name in ("link", "rename"):
            continue
        refused(name, "in a folder without the right to write", "EACCES", call, "folder/new")
    refused("link", "in a folder without the right to write", "EACCES", os.link, "all/mine", "folder/new")
    refused("rename", "to a folder without the right to write", "EACCES", os.rename, "all/mine", "folder/new")
    refused("rename", "from a folder without the right to write", "EACCES", os.rename, "file", "all/new")
    refused("unlink", "from a folder without the right to write", "EACCES", os.unlink, "file")
    refused("rmdir", "from a folder without the right to write", "EACCES", os.rmdir, "empty")
    refused("unlink", "of others in a sticky folder", "EPERM", os.unlink, "sticky/file")
    refused("rmdir", "of others in a sticky folder", "EPERM", os.rmdir, "sticky/folder")
    refused("rename", "of others in a sticky folder", "EPERM", os.rename, "sticky/file", "sticky/new")
    refused("chmod", "of others", "EPERM", os.chmod, "file", 0o777)
    refused("chown", "of others", "EPERM", os.chown, "file", 4321, -1)
    refused("chown", "a gift to others", "EPERM", os.chown, "all/mine", 4322, -1)
    refused("utimensat", "times of others", "EPERM", os.utime, "file", (1, 1))
    refused("utimensat", "the present of others", "EACCES", os.utime, "file")
    refused("access", "to write", "EACCES", access, "file", os.W_OK)
    refused("open", "to write", "EACCES", os.open, "file", os.O_WRONLY)
    refused("open", "to read", "EACCES", os.open, "secret", os.O_RDONLY)
    refused("open", "a folder to read", "EACCES", os.open, "closed", os.O_RDONLY)
    refused("open", "O_TRUNC", "EACCES", os.open, "file", os.O_TRUNC)
    refused("open", "O_NOATIME of others", "EPERM", os.open, "file", os.O_NOATIME)
    refused("open", "O_TMPFILE", "EACCES", os.open, "folder", os.O_TMPFILE | os.O_RDWR)
    refused("truncate", "of others", "EACCES", truncate, "file", 0)
    refused("chdir", "without the right to search", "EACCES", os.chdir, "closed")
    if options.devices:
        refused("mknod", "a device", "EPERM", os.mknod, "all/device", 0o020666, os.makedev(1, 3))


def locks():
    held = os.open("file", os.O_RDWR)
    reading = os.open("file", os.O_RDONLY)
    refused("fcntl", "a lock to write of what is open to read", "EBADF", fcntl.lockf, reading, fcntl.LOCK_EX | fcntl.LOCK_NB)
    refused("fcntl", "a lock before the start", "EINVAL", fcntl.lockf, held, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, -2)
    fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    in_child(locked)
    fcntl.flock(held, fcntl.LOCK_UN)
    waits_for_each_other(held)
    os.close(held)
    os.close(reading)


def locked():
    other = os.open("file", os.O_RDWR)
    refused("fcntl", "a lock of others", "EAGAIN", fcntl.lockf, other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
    refused("flock", "a lock of others", "EAGAIN", fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def waits_for_each_other(held):
    """Two processes want what the other one has. One of both is told so, whichever waits second; then both go on."""
    ready, tell_ready = os.pipe()
    result, tell_result = os.pipe()
    child = os.fork()
    if child == 0:
        other = os.open("file", os.O_RDWR)
        fcntl.lockf(other, fcntl.LOCK_EX, 10, 10)
        os.write(tell_ready, b"r")
        os.write(tell_result, str(code(fcntl.lockf, other, fcntl.LOCK_EX, 10, 0)).encode())
        os._exit(0)
    os.read(ready, 1)
    mine = code(fcntl.lockf, held, fcntl.LOCK_EX, 10, 10)
    fcntl.lockf(held, fcntl.LOCK_UN)
    theirs = os.read(result, 100).decode()
    os.waitpid(child, 0)
    for fd in (ready, tell_ready, result, tell_result):
        os.close(fd)
    check("fcntl, two that wait for each other", sorted([str(mine), theirs]), ["EDEADLK", "None"])
    if "EDEADLK" in (mine, theirs):
        errors.setdefault("fcntl", set()).add("EDEADLK")


def prepare(options):
    write("file", bytes(100_001))
    write("program", b"no program")
    write("secret", b"")
    os.chmod("secret", 0o600)
    for folder in ("folder", "folder/below", "empty", "removed", "closed", "sticky", "sticky/folder", "all"):
        os.mkdir(folder)
    os.chmod("all", 0o777)
    os.chmod("sticky", 0o1777)
    write("sticky/file", b"")
    write("all/mine", b"")
    os.chown("all/mine", 4321, 4321)
    write("closed/name", b"")
    os.chmod("closed", 0o700)
    os.symlink("loop", "loop")
    os.symlink("nothing", "to-nothing")
    os.symlink("file", "to-file")
    os.symlink("folder", "to-folder")
    os.mkfifo("fifo")
    if options.sockets:
        os.mknod("socket", 0o140644)
    if options.devices:
        os.mknod("device", 0o020666, os.makedev(1, 3))


def run(options):
    """In the present folder, which is empty."""
    prepare(options)
    paths(options)
    names(options)
    opens(options)
    programs()
    contents(options)
    if options.xattrs:
        xattrs()
    as_user(lambda: rights(options))
    locks()
    posix_limits.run(options)
