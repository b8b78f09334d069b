import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { Stage } from './stage.ts';
import type { TestSandbox } from './test-sandbox.ts';
import { ordinaryUser } from './test-sandbox.ts';

/** System call numbers of x86-64 and arm64: [name, x64, arm64, arguments]. */
const refusedCalls: readonly (readonly [string, number, number, string])[] = [
  ['bpf', 321, 280, '0, 0, 0'],
  ['perf_event_open', 298, 241, '0, 0, -1, -1, 0'],
  ['userfaultfd', 323, 282, '0'],
  ['io_uring_setup', 425, 425, '1, 0'],
  ['add_key', 248, 217, '0, 0, 0, 0, 0'],
  ['keyctl', 250, 219, '0, 0, 0, 0, 0'],
  ['request_key', 249, 218, '0, 0, 0, 0'],
  ['kexec_load', 246, 104, '0, 0, 0, 0'],
  ['init_module', 175, 105, '0, 0, 0'],
  ['finit_module', 313, 273, '-1, 0, 0'],
  ['delete_module', 176, 106, '0, 0'],
  ['open_by_handle_at', 304, 265, '0, 0, 0'],
  ['setns', 308, 268, '-1, 0'],
  ['unshare', 272, 97, '0x10000000'],
  ['clone with CLONE_NEWUSER', 56, 220, '0x10000011, 0, 0, 0, 0'],
  ['clone3', 435, 435, '0, 0'],
  ['mount', 165, 40, '0, 0, 0, 0, 0'],
  ['fsopen', 430, 430, '0, 0'],
  ['open_tree', 428, 428, '-100, 0, 1'],
  ['move_mount', 429, 429, '-1, 0, -1, 0, 0'],
  ['pivot_root', 155, 41, '0, 0'],
  ['swapon', 167, 224, '0, 0'],
  ['reboot', 169, 142, '0, 0, 0, 0'],
  ['syslog', 103, 116, '3, 0, 0'],
  ['quotactl', 179, 60, '0, 0, 0, 0'],
  ['acct', 163, 89, '0'],
];

const deniedErrno = ['EPERM', 'ENOSYS'];

/** What code inside may ask of the kernel, as root and as an ordinary user. */
export function describePrivileges(stage: Stage): void {
  describe('privileges', () => {
    let sandbox: TestSandbox;
    beforeAll(async () => {
      sandbox = await stage.bench.start();
    });
    afterAll(async () => {
      await sandbox[Symbol.asyncDispose]();
    });
    const python = async (script: string, uid = 0): Promise<string> => {
      const { stdout, stderr } = await sandbox.sh(`python3 - <<'END'\n${script}\nEND`, uid);
      return (stdout + stderr).trim();
    };

    const statusOnHost = async (): Promise<string> =>
      await readFile(`/proc/${sandbox.instance.initPid}/status`, 'utf8');

    test('root has only the declared capabilities, and a user has none', async () => {
      const { ownKernel } = stage.bench.driver.capabilities;
      // The process of a sandbox's own kernel has other capabilities, in a user namespace that owns only itself.
      const status = ownKernel ? (await sandbox.sh('cat /proc/1/status')).stdout : await statusOnHost();
      for (const set of ['CapPrm', 'CapEff', 'CapBnd']) expect(status).toContain(`${set}:\t${declaredCapabilities()}`);
      // gVisor shows no ambient set: it has none.
      for (const set of ownKernel ? ['CapInh'] : ['CapInh', 'CapAmb'])
        expect(status).toContain(`${set}:\t0000000000000000`);
      const user = await sandbox.sh('grep -E "Cap(Prm|Eff|Amb)" /proc/self/status', ordinaryUser);
      expect(user.stdout.match(/0{16}/g)).toHaveLength(ownKernel ? 2 : 3);
    });

    test('every process runs under a seccomp filter', async () => {
      expect((await sandbox.sh('grep Seccomp: /proc/self/status', ordinaryUser)).stdout).toBe('Seccomp:\t2\n');
      expect(await statusOnHost()).toContain('Seccomp:\t2\n');
    });

    test.each(refusedCalls)('%s is refused to root', async (_, x64, arm64, args) => {
      const number = process.arch === 'x64' ? x64 : arm64;
      const answer = await python(
        `import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(${number}, ${args}), errno.errorcode.get(ctypes.get_errno()))`,
      );
      const [result, name] = answer.split(' ');
      expect(result).toBe('-1');
      expect(deniedErrno).toContain(name);
    });

    test('only internet, Unix and harmless netlink sockets can be created', async () => {
      const answer = await python(`import socket
for family, kind, protocol in ((1,1,0),(2,1,0),(10,2,0),(16,3,0),(16,3,4),(16,3,12),(16,3,9),(16,3,6),(16,3,16),(17,3,0),(38,5,0),(40,1,0),(31,3,1),(29,3,1),(2,3,1)):
    try: socket.socket(family, kind, protocol); print(family, protocol, 'made')
    except OSError as error: print(family, protocol, error.errno)`);
      const { ownKernel } = stage.bench.driver.capabilities;
      expect(answer.split('\n')).toEqual([
        ...['1 0 made', '2 0 made', '10 0 made', '16 0 made', ownKernel ? '16 4 93' : '16 4 made'],
        ...['16 12 93', '16 9 93', '16 6 93', '16 16 93', ownKernel ? '17 0 1' : '17 0 97'],
        ...['38 0 97', '40 0 97', '31 1 97', '29 1 97'],
        // A raw socket: allowed by the filter, refused because of the missing capability.
        '2 1 1',
      ]);
    });

    test('mounts, new namespaces, chroot and host names are refused to a user', async () => {
      for (const command of [
        'mount -t tmpfs none /mnt',
        'unshare -U true',
        'unshare -n true',
        'chroot / true',
        'hostname other',
        'umount /proc',
      ])
        expect((await sandbox.sh(command, ordinaryUser)).exitCode, command).not.toBe(0);
    });

    test('mounts are refused to root, including over mounts of the host', async () => {
      for (const command of [
        'mount -t tmpfs none /mnt',
        'mount --bind /etc /mnt',
        'mount -o remount,rw /sys',
        'mount -o remount,rw /run/soulbox',
        'umount /proc/kcore',
        'umount -l /sys/firmware',
        'unshare -m true',
      ])
        expect((await sandbox.sh(command)).exitCode, command).not.toBe(0);
    });

    test('a user can neither trace nor signal init, nor read its memory', async () => {
      const answer = await python(
        `import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(16, 1, 0, 0))
for action in (lambda: os.kill(1, 9), lambda: open('/proc/1/mem')):
    try: action(); print('done')
    except PermissionError: print('refused')`,
        ordinaryUser,
      );
      expect(answer.split('\n')).toEqual(['-1', 'refused', 'refused']);
    });

    test("a user cannot read the environment of another user's process", async ({ skip }) => {
      if (!stage.bench.driver.capabilities.hidesEnvironments)
        skip('this driver shows the environment of every process');
      const answer = await sandbox.sh('cat /proc/1/environ', ordinaryUser);
      expect([answer.exitCode, answer.stdout]).toEqual([1, '']);
    });

    test('root inside cannot end init by a signal that init does not handle', async () => {
      await sandbox.sh('kill -KILL 1; kill -STOP 1');
      expect((await sandbox.sh('echo alive')).stdout).toBe('alive\n');
    });

    test('hidden files of /proc and folders of /sys are empty', async () => {
      const files = 'config.gz interrupts kallsyms kcore keys kmsg kpagecount timer_list sched_debug'.split(' ');
      for (const name of files) expect((await sandbox.sh(`head -c 1 /proc/${name} 2>/dev/null`)).stdout, name).toBe('');
      for (const name of ['firmware', 'kernel/debug', 'kernel/tracing', 'kernel/security', 'fs/cgroup'])
        expect((await sandbox.sh(`ls -A /sys/${name} 2>/dev/null`)).stdout, name).toBe('');
    });

    test('files in /proc and /sys that affect the kernel cannot be written', async () => {
      for (const path of [
        '/proc/sysrq-trigger',
        '/proc/sys/kernel/core_pattern',
        '/proc/sys/kernel/panic',
        '/proc/sys/vm/drop_caches',
        '/proc/sys/vm/overcommit_memory',
        '/proc/irq/default_smp_affinity',
        '/sys/kernel/uevent_helper',
        '/sys/power/state',
        '/sys/kernel/mm/transparent_hugepage/enabled',
        '/sys/class/net/eth0/mtu',
      ])
        expect((await sandbox.sh(`echo 1 > ${path}`)).exitCode, path).not.toBe(0);
    });

    test('root cannot change whether the host forwards packets', async () => {
      const namespace = `--net=/proc/${sandbox.instance.initPid}/ns/net`;
      const path = '/proc/sys/net/ipv4/ip_forward';
      const before = await run('nsenter', [namespace, 'cat', path]);
      const written = await sandbox.sh(`echo ${1 - Number(before)} > ${path}`);
      // A sandbox's own network stack may be configured freely: the network of the host's kernel around it stays
      // unchanged.
      if (!stage.bench.driver.capabilities.ownKernel) expect(written.exitCode).not.toBe(0);
      expect(await run('nsenter', [namespace, 'cat', path])).toBe(before);
    });

    test('root cannot change the network', async () => {
      for (const command of ['ip link set lo down', 'ip addr add 10.0.0.1/8 dev eth0', 'ip route add 1.2.3.4 dev eth0'])
        expect((await sandbox.sh(command)).exitCode, command).not.toBe(0);
    });

    test('device nodes can be neither created nor used', async () => {
      // A sandbox's own kernel lets nodes be created: there is no device behind them.
      const use = stage.bench.driver.capabilities.ownKernel ? '; head -c 1 /dev/made && rm /dev/made' : '';
      for (const [type, major, minor] of [
        ['b', 254, 0],
        ['b', 7, 0],
        ['c', 1, 1],
        ['c', 10, 237],
      ])
        expect((await sandbox.sh(`mknod /dev/made ${type} ${major} ${minor}${use}`)).exitCode).not.toBe(0);
      // minbase contains a console node; the root's nodev option makes it unusable.
      expect((await sandbox.sh('cat /dev/console')).exitCode).not.toBe(0);
    });

    test('the OOM scores that protect the host cannot be lowered', async ({ skip }) => {
      const scoreOnHost = async (): Promise<string> =>
        await readFile(`/proc/${sandbox.instance.initPid}/oom_score_adj`, 'latin1');
      const score = await scoreOnHost();
      await sandbox.sh('echo -500 > /proc/1/oom_score_adj; renice -n -20 -p $$; chrt -f -p 1 $$');
      expect(await scoreOnHost()).toBe(score);
      expect(Number(score)).toBeGreaterThanOrEqual(0);
      const { policy, nice } = await schedulingOf(sandbox.instance.initPid);
      expect([policy, nice >= -10]).toEqual([0, true]);
      if (stage.bench.driver.capabilities.ownKernel) skip('the scores inside are those of a kernel of its own');
      expect((await sandbox.sh('echo -500 > /proc/self/oom_score_adj')).exitCode).not.toBe(0);
      expect((await sandbox.sh('echo -1 > /proc/self/oom_score_adj', ordinaryUser)).exitCode).not.toBe(0);
      expect((await sandbox.sh('nice -n -5 true 2>&1', ordinaryUser)).stdout).toContain('cannot set niceness');
      expect((await sandbox.sh('chrt -f 1 true', ordinaryUser)).exitCode).not.toBe(0);
      expect((await sandbox.sh('chrt -f 1 true')).exitCode).not.toBe(0);
    });

    test('processes inside start at the usual priority', async () => {
      const { stdout } = await sandbox.sh('nice; chrt -p $$ | head -1', ordinaryUser);
      expect(stdout).toMatch(/^0\n.*SCHED_OTHER\n$/);
    });
  });
}

/** Scheduling policy and nice value of the first thread (proc_pid_stat(5), fields 41 and 19). */
async function schedulingOf(pid: number): Promise<{ policy: number; nice: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { policy: Number(fields[41 - 3]), nice: Number(fields[19 - 3]) };
}

/** AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT. */
function declaredCapabilities(): string {
  const bits = [29, 0, 1, 3, 4, 5, 27, 10, 31, 6, 8, 7, 18];
  return bits
    .reduce((sum, bit) => sum + 2 ** bit, 0)
    .toString(16)
    .padStart(16, '0');
}
