"""Calls that Node.js does not have, or seldom makes, and what each must do."""

import fcntl
import mmap
import os
import stat
import time

from posix_checks import AT_FDCWD, as_user, check, code, fallocate, in_child, libc, read, renameat2, write


def names(options):
    """Names."""
    write("name", b"1")
    check("a name that is not UTF-8", os.path.exists(b"\xff\xfe") or write(b"\xff\xfe", b"x"), None)
    check("it is listed", b"\xff\xfe" in os.listdir(b"."), True)
    os.unlink(b"\xff\xfe")
    check("255 bytes", write("n" * 255, b""), None)
    os.unlink("n" * 255)
    check("256 bytes", code(os.stat, "n" * 256), "ENAMETOOLONG")
    check("create with 256 bytes", code(os.mkdir, "n" * 256), "ENAMETOOLONG")
    check("a missing name", code(os.stat, "missing"), "ENOENT")
    check("below a file", code(os.stat, "name/x"), "ENOTDIR")
    check("a name twice", code(os.mkdir, "name"), "EEXIST")


def folders(options):
    """Folders."""
    os.mkdir("d")
    os.mkdir("d/e")
    check("links of a folder", os.stat("d").st_nlink, 3)
    check("rmdir with entries", code(os.rmdir, "d"), "ENOTEMPTY")
    check("rmdir of a file", code(os.rmdir, "name"), "ENOTDIR")
    check("unlink of a folder", code(os.unlink, "d"), "EISDIR")
    check("rename into itself", code(os.rename, "d", "d/e/f"), "EINVAL")
    check("rename of a file over a folder", code(os.rename, "name", "d"), "EISDIR")
    check("rename of a folder over a file", code(os.rename, "d", "name"), "ENOTDIR")
    check("rename over a folder with entries", (os.mkdir("f"), code(os.rename, "f", "d"))[1], "ENOTEMPTY")
    check("rename over an empty folder", code(os.rename, "f", "d/e"), None)
    check("links after it", os.stat("d").st_nlink, 3)
    held = os.open("d/e", os.O_RDONLY)
    os.rmdir("d/e")
    check("create in a removed folder", code(os.mkdir, "x", dir_fd=held), "ENOENT")
    os.close(held)
    os.mkdir("many")
    for number in range(300):
        write(f"many/{number}", b"")
    seen = []
    with os.scandir("many") as entries:
        for entry in entries:
            seen.append(entry.name)
            os.unlink(f"many/{entry.name}")
    check("a list while entries go", sorted(seen) == sorted(map(str, range(300))), True)
    check("all are gone", os.listdir("many"), [])


def exchange(one, other):
    """In three steps, for the checks that follow."""
    os.rename(one, "between")
    os.rename(other, one)
    os.rename("between", other)


def links(options):
    """Hard links, and rename with flags."""
    os.link("name", "second")
    check("links of a file", os.stat("name").st_nlink, 2)
    check("link over a name", code(os.link, "name", "d"), "EEXIST")
    check("rename to another name of the file", (os.rename("name", "second"), os.path.exists("name"))[1], True)
    write("third", b"3")
    check("RENAME_NOREPLACE", code(renameat2, "third", "name", 1), "EEXIST")
    if options.exchange:
        check("RENAME_EXCHANGE", (renameat2("third", "d", 2), os.path.isdir("third"), read("d")), (None, True, b"3"))
        check("RENAME_EXCHANGE with nothing", code(renameat2, "d", "missing", 2), "ENOENT")
    else:
        exchange("third", "d")
    check("RENAME_WHITEOUT", code(renameat2, "d", "w", 4), "EINVAL")
    check("rename over a file", (os.rename("d", "name"), read("name"), read("second")), (None, b"3", b"1"))
    check("its other name has one link", os.stat("second").st_nlink, 1)


def nameless(options):
    """Files without names."""
    fd = os.open("second", os.O_RDWR)
    os.unlink("second")
    os.pwrite(fd, b"still there", 0)
    check("unlinked while open", (os.pread(fd, 100, 0), os.fstat(fd).st_nlink), (b"still there", 0))
    os.close(fd)
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(fd, b"temporary")
    check("a name for O_TMPFILE", libc.linkat(AT_FDCWD, f"/proc/self/fd/{fd}".encode(), AT_FDCWD, b"named", 0x400), 0)
    os.close(fd)
    check("its content", read("named"), b"temporary")


def contents(options):
    """Content."""
    fd = os.open("content", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    check("O_EXCL", code(os.open, "content", os.O_CREAT | os.O_EXCL), "EEXIST")
    check("behind the end", (os.pwrite(fd, b"x", 16 << 20), os.pread(fd, 10, 5)), (1, bytes(10)))
    os.fsync(fd)  # With the write-back cache, the kernel asks for data that it still has.
    check("SEEK_DATA", 0 < os.lseek(fd, 0, os.SEEK_DATA) <= 16 << 20, True)
    check("SEEK_HOLE", os.lseek(fd, 0, os.SEEK_HOLE), 0)
    check("SEEK_DATA at the end", code(os.lseek, fd, (16 << 20) + 1, os.SEEK_DATA), "ENXIO")
    check("few blocks", os.fstat(fd).st_blocks <= 64, True)
    os.ftruncate(fd, 1 << 50)
    check("a size of 1 PiB", os.fstat(fd).st_size, 1 << 50)
    os.ftruncate(fd, 3)
    os.ftruncate(fd, 200_000)
    check("zeros after truncations", os.pread(fd, 1, 100_000), b"\0")
    os.pwrite(fd, b"y" * 65536, 0)
    fallocate(fd, 3, 100, 40_000)
    check("a punched hole", os.pread(fd, 4, 98) + os.pread(fd, 4, 40_098), b"yy\0\0\0\0yy")
    check("fallocate grows", (fallocate(fd, 0, 0, 300_000), os.fstat(fd).st_size), (None, 300_000))
    check("fallocate that keeps the size", (fallocate(fd, 1, 0, 400_000), os.fstat(fd).st_size), (None, 300_000))
    check("FALLOC_FL_COLLAPSE_RANGE", code(fallocate, fd, 8, 0, 4096), "ENOTSUP")
    view = mmap.mmap(fd, 8192)
    view[4096:4100] = b"mmap"
    view.flush()
    check("a shared mapping", os.pread(fd, 4, 4096), b"mmap")
    view.close()
    check("fsync", (os.fsync(fd), os.fdatasync(fd)), (None, None))
    second = os.open("content", os.O_WRONLY | os.O_APPEND)
    os.write(second, b"appended")
    check("O_APPEND", os.pread(fd, 20, 300_000), b"appended")
    check("O_TRUNC", (os.close(os.open("content", os.O_WRONLY | os.O_TRUNC)), os.fstat(fd).st_size), (None, 0))
    check("copy_file_range", os.copy_file_range(os.open("named", os.O_RDONLY), fd, 9), 9)
    os.close(second)
    os.close(fd)


def attributes(options):
    """Attributes."""
    os.utime("content", ns=(-1_500_000_000, 4_102_444_800_123_456_789))
    check("times", (os.stat("content").st_atime_ns, os.stat("content").st_mtime_ns), (-1_500_000_000, 4_102_444_800_123_456_789))
    os.chmod("content", 0o6755)
    os.chown("content", 1000, 1000)
    check("chown drops setuid", stat.S_IMODE(os.stat("content").st_mode), 0o755)
    check("a fifo", (os.mkfifo("fifo"), stat.S_ISFIFO(os.stat("fifo").st_mode)), (None, True))
    if options.devices:
        check("a device", (os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3)), os.stat("null").st_rdev), (None, os.makedev(1, 3)))
        check("it cannot be opened", code(os.open, "null", os.O_RDONLY), "EACCES")
    os.symlink("some/where", "link")
    check("a symbolic link", (os.readlink("link"), os.lstat("link").st_size), ("some/where", 10))
    check("readlink of a file", code(os.readlink, "content"), "EINVAL")
    os.mkdir("setgid")
    os.chown("setgid", 0, 1234)
    os.chmod("setgid", 0o2775)
    os.mkdir("setgid/below")
    check("setgid of a folder", (os.stat("setgid/below").st_gid, os.stat("setgid/below").st_mode & 0o2000), (1234, 0o2000))
    before = os.stat("setgid").st_mtime_ns
    time.sleep(0.01)
    write("setgid/file", b"")
    check("mtime of a folder", os.stat("setgid").st_mtime_ns > before, True)
    check("statvfs", (os.statvfs(".").f_namemax, os.statvfs(".").f_bavail > 0), (255, True))


def xattrs(options):
    """Extended attributes."""
    os.setxattr("content", "user.a", b"1")
    check("getxattr", os.getxattr("content", "user.a"), b"1")
    check("a missing one", code(os.getxattr, "content", "user.b"), "ENODATA")
    check("XATTR_CREATE", code(os.setxattr, "content", "user.a", b"2", os.XATTR_CREATE), "EEXIST")
    check("XATTR_REPLACE", code(os.setxattr, "content", "user.b", b"2", os.XATTR_REPLACE), "ENODATA")
    check("listxattr", os.listxattr("content"), ["user.a"])
    check("60,000 bytes", (os.setxattr("content", "user.big", bytes(60_000)), len(os.getxattr("content", "user.big"))), (None, 60_000))
    check("too many bytes", code(os.setxattr, "content", "user.more", bytes(10_000)), "ENOSPC")
    check("removexattr", (os.removexattr("content", "user.a"), code(os.removexattr, "content", "user.a")), (None, "ENODATA"))
    check("access lists", code(os.setxattr, "content", "system.posix_acl_access", b"\2\0\0\0"), "ENOTSUP")


def rights(options):
    """What a user may do with files of another one."""
    os.mkdir("sticky")
    os.chmod("sticky", 0o1777)
    write("sticky/root", b"")
    os.chmod("setgid", 0o755)
    os.chmod("content", 0o4777)
    as_user(other_user)


def other_user():
    check("create without permission", code(os.mkdir, "setgid/mine"), "EACCES")
    check("unlink in a sticky folder", code(os.unlink, "sticky/root"), "EPERM")
    check("chmod of others", code(os.chmod, "content", 0o777), "EPERM")
    mine = os.open("content", os.O_WRONLY)
    os.write(mine, b"w")
    check("a write drops setuid", os.stat("content").st_mode & 0o4000, 0)


def locks(options):
    """Locks of one process against another."""
    fd = os.open("content", os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    in_child(other_process)
    os.close(os.open("content", os.O_RDONLY))
    in_child(after_a_close)
    os.close(fd)


def other_process():
    other = os.open("content", os.O_RDWR)
    check("a locked range", code(fcntl.lockf, other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 14), "EAGAIN")
    check("a range beside it", code(fcntl.lockf, other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 15), None)
    check("flock", code(fcntl.flock, other, fcntl.LOCK_SH | fcntl.LOCK_NB), "EAGAIN")


def after_a_close():
    other = os.open("content", os.O_RDWR)
    check("a close of any descriptor unlocks", code(fcntl.lockf, other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5), None)


def run(options):
    """In the present folder, which is empty."""
    sections = [names, folders, links, nameless, contents, attributes, *([xattrs] if options.xattrs else []), rights, locks]
    for section in sections:
        try:
            section(options)
        except OSError as error:
            check(f"{section.__name__}, to their end", str(error), None)
