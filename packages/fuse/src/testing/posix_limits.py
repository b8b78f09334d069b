"""What calls return where nothing may be changed, and where there is no room left."""

import os
import time

from posix_checks import access, check, code, create, fallocate, ftruncate, refused, renameat2, truncate


def read_only(folder):
    """The same folder, where nothing may be changed."""
    at = lambda name: os.path.join(folder, name)
    changes = {
        "access": lambda: access(at("file"), os.W_OK),
        "chmod": lambda: os.chmod(at("file"), 0o600),
        "chown": lambda: os.chown(at("file"), 1, 1),
        "link": lambda: os.link(at("file"), at("new")),
        "mkdir": lambda: os.mkdir(at("new")),
        "mknod": lambda: os.mkfifo(at("new")),
        "rename": lambda: os.rename(at("file"), at("new")),
        "renameat2": lambda: renameat2(at("file"), at("empty"), 2),
        "rmdir": lambda: os.rmdir(at("empty")),
        "symlink": lambda: os.symlink("target", at("new")),
        "truncate": lambda: truncate(at("file"), 0),
        "unlink": lambda: os.unlink(at("file")),
        "utimensat": lambda: os.utime(at("file")),
    }
    for name, call in changes.items():
        refused(name, "read-only", "EROFS", call)
    flags = {"O_WRONLY": os.O_WRONLY, "O_RDWR": os.O_RDWR, "O_TRUNC": os.O_TRUNC}
    for flag, value in flags.items():
        refused("open", f"read-only, {flag}", "EROFS", os.open, at("file"), value)
    refused("open", "read-only, a new name", "EROFS", os.open, at("new"), os.O_CREAT | os.O_RDONLY)
    refused("open", "read-only, O_TMPFILE", "EROFS", os.open, folder, os.O_TMPFILE | os.O_RDWR)


def read_only_xattrs(folder):
    file = os.path.join(folder, "file")
    refused("setxattr", "read-only", "EROFS", os.setxattr, file, "user.new", b"")
    refused("removexattr", "read-only", "EROFS", os.removexattr, file, "user.new")


def no_links_left():
    """More names than a file can have: 65,000 of them."""
    os.mkdir("links")
    create("links/file")
    made = 1
    while made < 100_000:
        result = code(os.link, "links/file", f"links/{made}")
        if result is not None:
            break
        made += 1
    check("names of one file", made, 65_000)
    refused("link", "one name too many", "EMLINK", os.link, "links/file", "links/more")


def no_room_left(quota_bytes, quota_inodes):
    """On a file system with this room, most of which is free. Fills it, and ends with it empty."""
    os.mkdir("full")
    fd = os.open("full/file", os.O_RDWR | os.O_CREAT, 0o644)
    size = quota_bytes + 1
    refused("fallocate", "beyond the quota", "EDQUOT", fallocate, fd, 0, 0, size)
    refused("write", "beyond the quota", "EDQUOT", write_whole, fd, size)
    ftruncate(fd, 0)
    os.fsync(fd)
    write_whole(fd, quota_bytes * 6 // 10)
    copy = os.open("full/copy", os.O_RDWR | os.O_CREAT, 0o644)
    refused("copy_file_range", "beyond the quota", "EDQUOT", copy_whole, fd, copy, quota_bytes * 6 // 10)
    os.close(fd)
    os.close(copy)
    os.unlink("full/file")
    os.unlink("full/copy")
    made = 0
    while made <= quota_inodes and code(create, f"full/{made}") is None:
        made += 1
    check("the quota of inodes ends", 0 < made <= quota_inodes, True)
    for name, call in {"mkdir": os.mkdir, "mknod": os.mkfifo, "open": create, "symlink": lambda path: os.symlink("target", path)}.items():
        refused(name, "beyond the quota of inodes", "EDQUOT", call, "full/more")
    refused("open", "O_TMPFILE beyond the quota of inodes", "EDQUOT", os.open, "full", os.O_TMPFILE | os.O_RDWR)
    for number in range(made):
        os.unlink(f"full/{number}")
    # Space is free a moment after a delete.
    deadline = time.monotonic() + 10
    while code(create, "full/again") is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    check("after deletes", os.listdir("full"), ["again"])


def write_whole(fd, size):
    offset = 0
    while offset < size:
        offset += os.pwrite(fd, b"q" * min(1 << 20, size - offset), offset)
    os.fsync(fd)


def copy_whole(source, target, size):
    offset = 0
    while offset < size:
        offset += os.copy_file_range(source, target, min(1 << 20, size - offset), offset, offset)
    os.fsync(target)


def run(options):
    if options.read_only:
        read_only(options.read_only)
        if options.xattrs:
            read_only_xattrs(options.read_only)
    if options.links:
        no_links_left()
    if options.quota:
        no_room_left(*options.quota)
