# A process with memory of known content, for the tests of the pager. It runs test code from DIRECTORY/ask and answers
# with the value of `answer`. It holds no file open in between, so that it can be saved at any time.
import ctypes, hashlib, mmap, os, sys, threading, time, traceback

directory = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
page = 4096
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def content(seed, size):
    """`size` bytes that differ for each `seed`."""
    block = hashlib.shake_256(seed.encode()).digest(min(size, 1 << 20))
    return b"".join(bytes([n & 255, n >> 8 & 255]) + block[2:] for n in range(size // len(block)))


def allocate(size, shared=False):
    """Anonymous memory at an address of its own."""
    return libc.mmap(None, size, 3, (1 if shared else 2) | 0x20, -1, 0)


def fill(address, data):
    ctypes.memmove(address, data, len(data))


def digest(address, size):
    return hashlib.sha256((ctypes.c_char * size).from_address(address)).hexdigest()


count = 0
while True:
    try:
        with open(directory + "/ask") as file:
            code = file.read()
        os.unlink(directory + "/ask")
    except FileNotFoundError:
        time.sleep(0.001)
        continue
    count += 1
    try:
        exec(code, globals())
    except Exception:
        answer = traceback.format_exc()
    with open(directory + "/answer.tmp", "w") as file:
        file.write(str(answer))
    os.rename(directory + "/answer.tmp", f"{directory}/answer-{count}")
