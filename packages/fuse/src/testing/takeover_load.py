"""Calls that must not run twice, one after the other, until standard input ends. Then checks what is there.

Usage: python3 takeover_load.py FOLDER. Prints JSON: the calls, and the longest of them in milliseconds.
"""

import json
import os
import select
import sys
import time

os.chdir(sys.argv[1])
calls = 0
longest = 0.0


def timed(call, *args):
    global calls, longest
    start = time.monotonic()
    result = call(*args)
    longest = max(longest, time.monotonic() - start)
    calls += 1
    return result


log = timed(os.open, "log", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
removed = timed(os.open, "removed", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
timed(os.write, removed, b"no name, but there")
timed(os.unlink, "removed")
rounds = 0
print("started", flush=True)
while not select.select([sys.stdin], [], [], 0)[0] or rounds == 0:
    name = str(rounds)
    # Each would fail, or leave another result, if it were done twice or not at all.
    timed(os.mkdir, f"d{name}")
    fd = timed(os.open, f"a{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    timed(os.write, fd, name.encode())
    timed(os.close, fd)
    timed(os.link, f"a{name}", f"d{name}/link")
    timed(os.rename, f"a{name}", f"b{name}")
    timed(os.unlink, f"b{name}")
    timed(os.write, log, f"{name}\n".encode())
    if rounds % 2 == 0:
        timed(os.unlink, f"d{name}/link")
        timed(os.rmdir, f"d{name}")
    rounds += 1

with open("log") as file:
    assert file.read() == "".join(f"{number}\n" for number in range(rounds))
assert os.pread(removed, 100, 0) == b"no name, but there"
kept = [f"d{number}" for number in range(1, rounds, 2)]
assert sorted(os.listdir(".")) == sorted([*kept, "log"]), os.listdir(".")
for folder in kept:
    with open(f"{folder}/link") as file:
        assert file.read() == folder[1:]
    assert os.stat(f"{folder}/link").st_nlink == 1
print(json.dumps({"calls": calls, "longestMs": longest * 1000}))
