import { readFile, readlink, readdir, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { Stage } from './stage.ts';
import type { TestSandbox } from './test-sandbox.ts';
import { ordinaryUser } from './test-sandbox.ts';

/** The isolation between a sandbox, the host and other sandboxes. */
export function describeWalls(stage: Stage): void {
  describe('walls', () => {
    let one: TestSandbox;
    let other: TestSandbox;
    beforeAll(async () => {
      [one, other] = await Promise.all([stage.bench.start(), stage.bench.start()]);
    });
    afterAll(async () => {
      await one[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    });

    test('root inside is a user that the host does not know, in a range of its own', async () => {
      for (const sandbox of [one, other]) {
        expect((await sandbox.sh('id -u')).stdout).toBe('0\n');
        const status = await readFile(`/proc/${sandbox.instance.initPid}/status`, 'utf8');
        const { idBase } = sandbox.spec;
        expect(status).toMatch(new RegExp(`^Uid:\\t${idBase}\\t${idBase}\\t${idBase}\\t${idBase}$`, 'm'));
        expect(status).toMatch(new RegExp(`^Gid:\\t${idBase}\\t${idBase}\\t${idBase}\\t${idBase}$`, 'm'));
      }
      expect(one.spec.idBase).not.toBe(other.spec.idBase);
    });

    test("root inside does not own the host's device nodes, and cannot change them", async () => {
      const paths = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`);
      const attempts = ['chmod 600', 'chown 1', 'touch -d @0', 'setfattr -n trusted.a -v b'];
      // Of its own, because a kernel of its own lets root inside change the devices there. Started last, because crun
      // gave the streams of each new container to its root.
      await using last = await stage.bench.start();
      for (const attempt of attempts) await last.sh(`${attempt} ${paths.join(' ')} 2>&1 || true`);
      for (const path of paths) {
        const { uid, mode, mtimeMs } = await stat(path);
        expect({ path, uid, mode: (mode & 0o777).toString(8), isOld: mtimeMs === 0 }).toEqual({
          ...{ path, uid: 0, mode: '666', isOld: false },
        });
      }
    });

    test("files of root and of a user belong to the sandbox's id range on the host", async () => {
      await one.sh('touch /made-by-root && mkdir -m 777 /open');
      await one.sh('touch /open/made-by-user', ordinaryUser);
      const root = stage.tested.rootOf(one.instance);
      expect((await stat(`${root}/made-by-root`)).uid).toBe(one.spec.idBase);
      expect((await stat(`${root}/open/made-by-user`)).uid).toBe(one.spec.idBase + ordinaryUser);
    });

    test("every namespace is separate from the host's", async () => {
      const names = ['cgroup', 'ipc', 'mnt', 'net', 'user', 'uts'];
      // A sandbox's own kernel has its own list of processes. On the host, that kernel is an ordinary process, and its
      // filter lets it signal only itself.
      if (!stage.bench.driver.capabilities.ownKernel) names.push('pid');
      for (const name of names) {
        const [mine, ones, others] = await Promise.all(
          ['self', one.instance.initPid, other.instance.initPid].map((pid) => readlink(`/proc/${pid}/ns/${name}`)),
        );
        expect(new Set([mine, ones, others]).size, name).toBe(3);
      }
    });

    test('only its own processes are visible', async () => {
      const { stdout } = await one.sh('ps -e -o pid=,args=');
      expect(stdout.trim().split('\n').length).toBeLessThan(5);
      expect((await one.sh(`ls /proc/${one.instance.initPid}`)).exitCode).not.toBe(0);
    });

    test('no path of the host is visible, nor the device that contains its files', async () => {
      const { stdout } = await one.sh('cat /proc/self/mountinfo /proc/mounts /proc/self/cgroup /proc/1/environ');
      const lines = stdout.split('\n');
      const { envdBundle, rootfs, directory } = one.spec;
      for (const path of [envdBundle.directory, rootfs, directory])
        expect(lines.filter((line) => line.includes(path))).toEqual([]);
      const hostDevice = (await run('findmnt', ['-n', '-o', 'SOURCE', '--target', envdBundle.directory])).trim();
      expect(lines.filter((line) => line.includes(hostDevice))).toEqual([]);
      expect((await one.sh(`cat /sys/block/loop*/loop/backing_file /sys/class/block/loop*/loop/*`)).stdout).toBe('');
    });

    test("the host's boot options, disks and disk traffic are not visible", async () => {
      for (const file of ['/proc/cmdline', '/proc/diskstats', '/proc/partitions', '/proc/swaps']) {
        const ofHost = await readFile(file, 'utf8').catch(() => '');
        if (ofHost !== '') expect((await one.sh(`cat ${file}`)).stdout, file).not.toBe(ofHost);
      }
      expect((await one.sh('cat /proc/diskstats /proc/partitions')).stdout).toBe('');
      const places = '/sys/block/*/ /sys/class/block/*/ /sys/dev/block/*/ /sys/fs /proc/fs';
      expect((await one.sh(`find ${places} -type f 2>/dev/null`)).stdout).toBe('');
      expect((await one.sh('find /sys/devices -path "*/block/*" 2>/dev/null')).stdout).toBe('');
    });

    test('two sandboxes share no file and no IPC object', async () => {
      await one.sh(
        'echo secret > /only-here; echo secret > /tmp/only-here; echo secret > /dev/shm/only-here; ipcmk -Q',
      );
      const { stdout } = await other.sh('cat /only-here /tmp/only-here /dev/shm/only-here; ipcs -q | grep 0x');
      expect(stdout).toBe('');
    });

    test('one sandbox cannot use up kernel resources of another', async () => {
      const script = `python3 -c "
import ctypes, os, signal, time
libc = ctypes.CDLL(None, use_errno=True)
def most(call, end):
    n = 0
    while n < end and call(n) >= 0: n += 1
    return n
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
queues = most(lambda n: libc.mq_open(b'/q%d' % n, 0o102, 0o600, None), 1000)
print(queues, most(lambda n: libc.inotify_init1(0), 1000),
    most(lambda n: libc.sigqueue(os.getpid(), int(signal.SIGRTMIN), ctypes.c_void_p(0)), 200000), flush=True)
time.sleep(float(os.environ['HOLD']))
for n in range(queues): libc.mq_unlink(b'/q%d' % n)"`;
      const use = async (sandbox: TestSandbox, seconds: number): Promise<string> =>
        (await sandbox.sh(`ulimit -n $(ulimit -Hn); HOLD=${seconds} ${script}`, ordinaryUser)).stdout;
      const alone = await use(other, 0);
      const hog = use(one, 3);
      await sleep(1_500);
      expect(await use(other, 0)).toBe(alone);
      expect(await hog).toMatch(/^[1-9]\d* [1-9]\d* [1-9]\d*\n$/);
    });

    test('the template never changes', async () => {
      const before = await listTree(one.spec.rootfs);
      await one.sh('rm -rf /etc/os-release /usr/share/doc; echo changed > /etc/passwd; chown -R 1000 /srv; touch /new');
      expect((await one.sh('cat /etc/passwd')).stdout).toBe('changed\n');
      expect(await listTree(one.spec.rootfs)).toBe(before);
      expect((await other.sh('head -c 5 /etc/passwd')).stdout).toBe('root:');
    });

    test('the files from the runner are inside: names, servers, token and identities', async () => {
      const { spec } = other;
      expect((await other.sh('hostname; cat /etc/hostname')).stdout).toBe('sandbox\nsandbox\n');
      expect((await other.sh('cat /etc/resolv.conf')).stdout).toBe('nameserver 192.0.2.53\n');
      expect((await other.sh('getent hosts sandbox')).stdout).toContain('127.0.1.1');
      expect((await other.sh('cat /run/soulbox/host-token')).stdout).toBe(spec.hostToken.reveal());
      expect((await other.sh('cat /run/soulbox/host-token', ordinaryUser)).exitCode).not.toBe(0);
      expect((await other.sh('cat /run/soulbox/generation', ordinaryUser)).stdout).toBe(`${spec.generation}\n`);
      expect((await other.sh('touch /run/soulbox/generation', ordinaryUser)).exitCode).not.toBe(0);
      const identities = 'cat /etc/machine-id /proc/sys/kernel/random/boot_id';
      const [mine, theirs] = [await one.sh(identities), await other.sh(identities)];
      expect(mine.stdout).toMatch(/^[0-9a-f]{32}\n[0-9a-f-]{36}\n$/);
      expect(mine.stdout).not.toBe(theirs.stdout);
    });

    test('files from the host cannot be written, not even by root', async () => {
      const files = '/etc/resolv.conf /etc/hosts /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id';
      for (const path of [...files.split(' '), `${one.spec.envdBundle.mountPoint}/new`])
        expect((await one.sh(`echo x > ${path}`)).exitCode, path).not.toBe(0);
      expect(await readdir(one.spec.envdBundle.directory)).not.toContain('new');
    });

    test('files keep attributes', async ({ skip }) => {
      if (!stage.bench.driver.capabilities.fileAttributes) skip("this driver's files have none");
      const script = `import os
os.setxattr('/srv', 'user.tag', b'kept')
print(os.getxattr('/srv', 'user.tag'))`;
      expect((await other.sh(`python3 -c "${script}"`)).stdout).toBe("b'kept'\n");
    });

    test('sudo works for an ordinary user', async ({ skip }) => {
      if (!stage.bench.driver.capabilities.setuid) skip('this driver has no setuid programs');
      await other.sh('useradd -m -u 1000 user && echo "user ALL=(ALL) NOPASSWD: ALL" > /etc/sudoers.d/user');
      expect((await other.sh('sudo -n id -u', ordinaryUser)).stdout).toBe('0\n');
    });

    test('terminals, shared memory and the standard devices work', async () => {
      const { stdout, stderr } = await other.sh(
        `script -qec 'test -t 0 && echo terminal' /dev/null
        for name in null zero full random urandom; do head -c 1 /dev/$name > /dev/null || echo $name; done
        echo shared > /dev/shm/file && cat /dev/shm/file
        readlink /dev/fd; stat -c %a /dev/shm /tmp`,
        ordinaryUser,
      );
      expect([stdout.replaceAll('\r', ''), stderr]).toEqual(['terminal\nshared\n/proc/self/fd\n1777\n1777\n', '']);
    });

    test('an ordinary user may ping its own loopback and bind port 80', async () => {
      const script = `python3 -c "
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
socket.socket().bind(('127.0.0.1', 80))
print('bound')"`;
      expect((await other.sh(script, ordinaryUser)).stdout).toBe('bound\n');
    });
  });
}

/** Names, modes, owners, sizes and times of a whole tree. */
async function listTree(folder: string): Promise<string> {
  return await run('find', [folder, '-printf', '%P %m %U %G %s %T@ %l\n']);
}
