"""Random calls on one file, compared with a model in memory after each: writes, reads, truncations, mappings, holes.

Usage: python3 random_content.py FILE CALLS SEED
"""

import ctypes
import mmap
import os
import random
import sys

path, calls, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
draw = random.Random(seed)
maximum = 300_000
model = bytearray()
log = []
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def grow(size):
    if size > len(model):
        model.extend(bytes(size - len(model)))


def span():
    offset = draw.randrange(maximum)
    return offset, min(draw.choice((1, 7, 4096, 20_000, 70_000)), maximum - offset)


def fallocate(mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


for number in range(calls):
    kind = draw.choice(("write", "write", "read", "read", "truncate", "map", "punch", "zero", "append", "reopen", "sync"))
    offset, length = span()
    log.append((kind, offset, length))
    if kind == "write":
        data = draw.randbytes(length)
        assert os.pwrite(fd, data, offset) == length
        grow(offset + length)
        model[offset : offset + length] = data
    elif kind == "truncate":
        os.ftruncate(fd, offset)
        del model[offset:]
        grow(offset)
    elif kind == "map" and len(model) > 0:
        view = mmap.mmap(fd, len(model))
        offset %= len(model)
        data = draw.randbytes(min(length, len(model) - offset))
        view[offset : offset + len(data)] = data
        model[offset : offset + len(data)] = data
        assert view[:] == bytes(model), (seed, number, log[-10:])
        view.close()
    elif kind == "punch":
        fallocate(3, offset, length)
        end = min(offset + length, len(model))
        if offset < end:
            model[offset:end] = bytes(end - offset)
    elif kind == "zero":
        fallocate(16, offset, length)
        grow(offset + length)
        model[offset : offset + length] = bytes(length)
    elif kind == "append" and len(model) < maximum:
        end = os.open(path, os.O_WRONLY | os.O_APPEND)
        assert os.write(end, b"appended") == 8
        os.close(end)
        model.extend(b"appended")
    elif kind == "reopen":
        os.close(fd)
        fd = os.open(path, os.O_RDWR)
    elif kind == "sync":
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    size = os.fstat(fd).st_size
    assert size == len(model), (seed, number, f"{size} bytes, not {len(model)}", log[-10:])
    assert os.pread(fd, length, offset) == bytes(model[offset : offset + length]), (seed, number, log[-10:])

assert os.pread(fd, maximum * 2, 0) == bytes(model), (seed, "end", log[-10:])
print(f"{calls} calls, seed {seed}: all equal")
