"""Takes a lock and keeps it until standard input ends. Prints `held`.

Usage: python3 hold_lock.py FILE flock|fcntl
"""

import fcntl
import os
import sys

fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
{"flock": fcntl.flock, "fcntl": fcntl.lockf}[sys.argv[2]](fd, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
