import { execFile } from 'node:child_process';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { expect, test } from 'vitest';
import { mountBucket } from '../testing/mounted-bucket.ts';
import { whyNoMounts } from '../testing/why-no-mounts.ts';

const execute = promisify(execFile);

/** Does the same in two folders, and compares what it gets. Prints the number of operations. */
const program = `
import os, random, sys
one, other, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
random.seed(seed)
names = ["a", "b", "d/c", "d/e"]
for root in (one, other): os.makedirs(root + "/d", exist_ok=True)
handles = {}
def both(call):
    results = []
    for root in (one, other):
        try: results.append(call(root))
        except OSError as error: results.append(error.errno)
    assert results[0] == results[1], (step, last, results)
    return results[0]
def close(name):
    for fd in handles.pop(name, ()): os.close(fd)
last = None
for step in range(count):
    name = random.choice(names)
    last = random.choice(["open", "write", "write", "read", "read", "truncate", "append", "close", "rename", "unlink", "list", "stat", "fsync"])
    offset, length = random.randrange(300000), random.randrange(1, 200000)
    data = bytes([random.randrange(256)]) * length
    if last == "open" and name not in handles:
        mode = random.choice([os.O_RDWR | os.O_CREAT, os.O_RDWR, os.O_RDWR | os.O_CREAT | os.O_TRUNC])
        fds = []
        def begin(root):
            fds.append(os.open(root + "/" + name, mode)); return "open"
        if both(begin) == "open": handles[name] = fds
    elif last in ("write", "read", "truncate", "fsync") and name in handles:
        fds = dict(zip((one, other), handles[name]))
        if last == "write": both(lambda root: os.pwrite(fds[root], data, offset))
        if last == "read": both(lambda root: os.pread(fds[root], length, offset))
        if last == "truncate": both(lambda root: os.ftruncate(fds[root], offset))
        if last == "fsync": both(lambda root: os.fsync(fds[root]))
    elif last == "append":
        def append(root):
            with open(root + "/" + name, "ab") as file: file.write(data)
        # While it is open, others of this mount see the same content.
        both(append)
    elif last == "close": close(name)
    elif last == "rename":
        target = random.choice(names)
        if name != target: close(name); close(target)
        both(lambda root: os.rename(root + "/" + name, root + "/" + target))
    elif last == "unlink": both(lambda root: os.unlink(root + "/" + name))
    elif last == "list": both(lambda root: sorted(os.listdir(root) + os.listdir(root + "/d")))
    elif last == "stat": both(lambda root: os.stat(root + "/" + name).st_size)
    if last == "unlink" and name in handles: close(name)
for name in list(handles): close(name)
for name in names:
    both(lambda root: open(root + "/" + name, "rb").read())
print(count)`;

test.skipIf(whyNoMounts !== undefined).each([1, 2, 3])(
  'programs get the same as on a local disk, whatever they do with files (%i)',
  async (seed) => {
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-bucket-'));
    try {
      for (const name of ['store', 'local']) await mkdir(join(folder, name));
      await using mounted = await mountBucket({ url: `file://${join(folder, 'store')}` });
      const args = [mounted.path, join(folder, 'local'), String(seed), '400'];
      const { stdout } = await execute('/usr/bin/python3', ['-c', program, ...args], { timeout: 60_000 });
      expect(stdout).toBe('400\n');
    } finally {
      await removeTree(folder);
    }
  },
);
