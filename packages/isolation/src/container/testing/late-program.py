# Runs in a sandbox of a test: holds pages of known content, detects by the clock that it has been restored, and then
# runs /task at once, while its memory is still being loaded. The value that /task assigns to `answer` is written to
# /answer. Argument: number of pages.
import ctypes, mmap, os, struct, sys, threading, time

pageBytes = 4096
count = int(sys.argv[1])
memory = mmap.mmap(-1, count * pageBytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
libc = ctypes.CDLL(None, use_errno=True)
libc.mremap.restype = ctypes.c_void_p
libc.mmap.restype = ctypes.c_void_p


def content(index):
    return struct.pack("<Q", index) * (pageBytes // 8)


def isRight(first, last, at=None):
    at = start + first * pageBytes if at is None else at
    return all(ctypes.string_at(at + (i - first) * pageBytes, pageBytes) == content(i) for i in range(first, last))


def isZero(at, pages):
    return ctypes.string_at(at, pages * pageBytes) == bytes(pages * pageBytes)


def address(pages):
    return ctypes.c_void_p(start + pages * pageBytes)


for index in range(count):
    memory[index * pageBytes : (index + 1) * pageBytes] = content(index)
open("/ready", "w").close()
seen = time.time()
while time.time() < seen + 1:
    seen = time.time()
    time.sleep(0.002)
answer = None
exec(open("/task").read())
with open("/answer.new", "w") as file:
    file.write(str(answer))
os.rename("/answer.new", "/answer")
time.sleep(600)
