/** @module-tag violation */
import { readFileSync } from 'node:fs';
import { Volume } from 'e2b';
import { findServerPart } from '@soulbox/testing';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { TestContext } from 'vitest';
import { needs, skipWithout } from '../harness/needs.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { mounting } from './mounting.ts';

// A sandbox whose programs do their worst to a volume, beside one of somebody else.
needs('volumes');

beforeAll(async () => {
  await useOwnTeam('hostile');
});

function openFiles(count: number): string {
  return `
kept = []
for n in range(${count}):
    try: fd = os.open(f'/data/f{n % 20000}', os.O_CREAT | os.O_RDWR)
    except OSError as error:
        assert error.errno in (errno.EMFILE, errno.ENFILE), error
        os.close(kept.pop(0)); continue
    kept.append(fd)
`;
}

/** What the programs of the hostile sandbox do, by name. Each prints `done` when it got as far as it could. */
const attacks = {
  'opens 15,000 files and keeps as many as it may': openFiles(15_000),
  'opens 100,000 files and keeps as many as it may': openFiles(100_000),
  'lists a folder that grows for ever': `
os.mkdir('/data/list')
end = time.time() + 8
seen = 0
scan = os.scandir('/data/list')
for n in range(2000): open(f'/data/list/{n}', 'w').close()
while time.time() < end:
    for entry in os.scandir('/data/list'):
        seen += 1
        if time.time() > end: break
        if seen % 50 == 0: open(f'/data/list/more-{seen}', 'w').close()
`,
  'takes locks and releases none': `
fd = os.open('/data/locks', os.O_CREAT | os.O_RDWR)
refused = None
for n in range(40000):
    try: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2 * n)
    except OSError as error: refused = error.errno; break
assert refused == errno.ENOLCK, refused
`,
  'waits for a lock many times': `
fd = os.open('/data/waits', os.O_CREAT | os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX)
children = []
for n in range(150):
    try: pid = os.fork()
    except OSError: break
    if pid == 0:
        own = os.open('/data/waits', os.O_RDWR)
        signal.alarm(6)
        fcntl.lockf(own, fcntl.LOCK_EX)
        os._exit(0)
    children.append(pid)
for pid in children: os.waitpid(pid, 0)
`,
  'sets extended attributes of any size': `
open('/data/x', 'w').close()
full = 0
for size in (1, 60000, 65536, 65536, 4000):
    for n in range(200):
        try: os.setxattr('/data/x', f'user.{size}-{n}', b'x' * size)
        except OSError as error:
            assert error.errno in (errno.ENOSPC, errno.E2BIG, errno.EDQUOT), error
            full += 1
assert full > 0
assert len(os.listxattr('/data/x')) > 0
`,
  'makes a deep tree and names of all bytes': `
os.chdir('/data')
for n in range(3000):
    os.mkdir('d' * 200); os.chdir('d' * 200)
try: os.rename('/data/' + 'd' * 200, 'loop')
except OSError as error: assert error.errno in (errno.EINVAL, errno.ELOOP), error
os.chdir('/data')
names = [bytes([byte]) * 255 for byte in range(1, 256) if byte not in (46, 47)]
for name in names: open(b'/data/' + name, 'w').close()
found = set(os.listdir(b'/data'))
assert all(name in found for name in names)
try: open(b'/data/' + b'n' * 256, 'w'); assert False
except OSError as error: assert error.errno == errno.ENAMETOOLONG, error
`,
  'has more requests at once than are handled': `
def work():
    for n in range(60):
        name = f'/data/t{threading.get_ident()}-{n}'
        with open(name, 'wb') as file: file.write(b'x' * 200000)
        os.unlink(name)
threads = [threading.Thread(target=work) for _ in range(40)]
for thread in threads: thread.start()
for thread in threads: thread.join()
`,
  'writes a little and flushes it, again and again': `
end = time.time() + 12
def work(at):
    fd = os.open(f'/data/flushed-{at}', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    while time.time() < end: os.write(fd, b'sixteen bytes...'); os.fsync(fd)
threads = [threading.Thread(target=work, args=(at,)) for at in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
`,
  'fills a folder with names, pipes and sockets, and lists it meanwhile': `
import socket
end = time.time() + 20
os.mkdir('/data/names'); os.chdir('/data/names')
made = 0
while made < 100000 and time.time() < end:
    for n in range(1000):
        if n % 100 == 0: os.mkfifo(f'pipe-{made + n}')
        elif n % 100 == 1: socket.socket(socket.AF_UNIX).bind(f'socket-{made + n}')
        else: os.close(os.open(f'name-{made + n}', os.O_CREAT | os.O_WRONLY))
    made += 1000
    if made % 10000 == 0: assert len(os.listdir('.')) == made
assert len(os.listdir('.')) == made
`,
};

/** Without it an attack does not reach the service: the sandbox's own kernel answers. */
const needed: Partial<Record<string, 'sharedVolumeLocks' | 'fileAttributes'>> = {
  'takes locks and releases none': 'sharedVolumeLocks',
  'sets extended attributes of any size': 'fileAttributes',
};

/** Prints milliseconds of its calls: the 99th percentile, and the longest. */
const watcher = `
import os, sys, time
took = []
while not os.path.exists('/tmp/stop'):
    start = time.time()
    with open('/data/file', 'w') as file: file.write('mine'); file.flush(); os.fsync(file.fileno())
    assert open('/data/file').read() == 'mine'
    took.append(time.time() - start)
    time.sleep(0.02)
took.sort()
print(round(took[int(len(took) * 0.99)] * 1000), round(took[-1] * 1000))
`;

const memoryMib = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** More than ten seconds each. */
const long = new Set([
  'opens 100,000 files and keeps as many as it may',
  'waits for a lock many times',
  'writes a little and flushes it, again and again',
  'fills a folder with names, pipes and sockets, and lists it meanwhile',
]);
const [quick, slow] = [false, true].map((isLong) =>
  Object.entries(attacks).filter(([name]) => long.has(name) === isLong),
);
const harmsNobody = 'a sandbox that %s harms neither the service nor others';
test.for(quick ?? [])(harmsNobody, { timeout: 300_000 }, attack);
test.for(slow ?? [])(harmsNobody, { timeout: 300_000, tags: ['long'] }, attack);

async function attack([name, program]: [string, string], context: TestContext): Promise<void> {
  const capability = needed[name];
  if (capability !== undefined) skipWithout(capability, context);
  const at = Object.keys(attacks).indexOf(name);
  const [hostile, other] = [await mounting(`hostile-${at}`), await mounting(`other-${at}`)];
  const pid = findServerPart(server.pid, 'volumes') ?? 0;
  await other.files.write('/tmp/watch.py', watcher);
  await hostile.files.write(
    '/tmp/attack.py',
    `import errno, fcntl, os, signal, threading, time\n${program}\nprint('done')\n`,
  );
  const watching = await other.commands.run('python3 /tmp/watch.py', { background: true, timeoutMs: 0 });
  const attacked = await hostile.commands.run('python3 /tmp/attack.py', { timeoutMs: 120_000 });
  expect(attacked.stdout).toBe('done\n');
  await other.files.write('/tmp/stop', '');
  const [usualMs = Infinity, longestMs = Infinity] = (await watching.wait()).stdout.split(' ').map(Number);
  const memory = `the service has ${Math.round(memoryMib(pid))} MiB`;
  console.log(`${name}: others waited ${usualMs} ms (99th percentile), ${longestMs} ms at most; ${memory}`);
  // On a machine that does other things, too. Without limits it is minutes.
  expect(usualMs).toBeLessThan(1500);
  expect(longestMs).toBeLessThan(3000);
  expect(findServerPart(server.pid, 'volumes')).toBe(pid);
  expect(memoryMib(pid)).toBeLessThan(600);
  await hostile.kill();
  await other.kill();
}

test('a sandbox ends at once whatever its programs wait for, and its locks with it', async (context) => {
  skipWithout('sharedVolumeLocks', context);
  const volume = await Volume.create('ended');
  onTestFinished(async () => {
    await Volume.destroy(volume.volumeId);
  });
  const sandbox = await createSandbox({ volumeMounts: { '/data': volume } });
  await sandbox.files.write(
    '/tmp/attack.py',
    `import errno, fcntl, os, signal, threading, time\n${attacks['takes locks and releases none']}\nprint('done', flush=True)\ntime.sleep(600)\n`,
  );
  const taken = Promise.withResolvers<undefined>();
  await sandbox.commands.run('python3 /tmp/attack.py', {
    ...{ background: true, timeoutMs: 0 },
    onStdout: () => taken.resolve(undefined),
  });
  await taken.promise;
  await sandbox.kill();
  const next = await createSandbox({ volumeMounts: { '/data': volume } });
  const program = "import fcntl; fcntl.lockf(open('/data/locks', 'r+'), fcntl.LOCK_EX); print('mine')";
  expect((await next.commands.run(`timeout 30 python3 -c "${program}"`)).stdout).toBe('mine\n');
  await next.kill();
}, 120_000);
