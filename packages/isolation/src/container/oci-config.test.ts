// Tests each isolation measure of the configuration separately: in a running sandbox another measure often has the same
// result.
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { silentLogger } from '@soulbox/base/logger';
import { describe, expect, test } from 'vitest';
import { sampleSpec } from '../testing/sample-spec.ts';
import { hiddenFolders } from './mounts.ts';
import { createHost } from './host.ts';
import { layoutOf } from './layout.ts';
import { createOciConfig, envdNice } from './oci-config.ts';
import { createSeccompProfile } from '../oci/seccomp-profile.ts';

const spec = sampleSpec();
const facts = { openFilesMax: 4096, oomScore: 0, maskedFolders: hiddenFolders };
const seccomp = createSeccompProfile();
const layout = layoutOf(11, spec.sandboxId, spec.directory);
const places = { cgroupsPath: '/soulbox-11/isample', userNamespace: '/proc/7/fd/9' };
const config = configWith(facts);

interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

/** The parts of an OCI configuration that restrict a container (runtime-spec 1.2: config.md, config-linux.md). */
interface Config {
  readonly ociVersion: string;
  readonly root: unknown;
  readonly mounts: readonly Mount[];
  readonly process: {
    readonly user: unknown;
    readonly capabilities: Readonly<Record<string, readonly string[]>>;
    readonly rlimits: readonly { readonly type: string }[];
    readonly scheduler: unknown;
    readonly oomScoreAdj: number;
    readonly env: readonly string[];
    readonly [key: string]: unknown;
  };
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly resources: {
      readonly memory: unknown;
      readonly cpu: unknown;
      readonly pids: unknown;
      readonly devices: readonly unknown[];
    };
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly [key: string]: unknown;
  };
}

function configWith(given: typeof facts): Config {
  return createOciConfig(spec, layout, { ...places, facts: given, seccomp }) as Config;
}

function mountAt(destination: string): Mount {
  const [mount, ...others] = config.mounts.filter((entry) => entry.destination === destination);
  if (mount === undefined || others.length > 0) throw new Error(`${destination} is mounted ${others.length + 1} times`);
  return mount;
}

describe('files of /proc that reveal facts about the host', () => {
  test.each([
    'bootconfig',
    'cmdline',
    'config.gz',
    'diskstats',
    'interrupts',
    'kallsyms',
    'kcore',
    'key-users',
    'keys',
    'kmsg',
    'kpagecount',
    'kpageflags',
    'latency_stats',
    'mdstat',
    'partitions',
    'sched_debug',
    'swaps',
    'timer_list',
    'timer_stats',
  ])('/proc/%s is masked', (name) => {
    expect(config.linux.maskedPaths).toContain(`/proc/${name}`);
  });
});

describe('folders of the kernel', () => {
  const folders = [
    '/proc/acpi',
    '/proc/asound',
    '/proc/fs',
    '/proc/scsi',
    '/sys/firmware',
    '/sys/devices/virtual/powercap',
    '/sys/devices/virtual/block',
    '/sys/devices/virtual/dmi',
    '/sys/kernel/debug',
    '/sys/kernel/security',
    '/sys/kernel/tracing',
    '/sys/fs',
  ];

  test.each(folders)('%s is hidden behind an empty folder of the disk', (folder) => {
    const { type, source, options } = mountAt(folder);
    expect([type, source]).toEqual(['bind', `${layout.disk}/empty`]);
    expect(options).toEqual(expect.arrayContaining(['bind', 'ro', 'nosuid', 'nodev', 'noexec']));
  });

  test('the existing ones on this host are all hidden, and no missing ones are listed', () => {
    const { maskedFolders } = createHost({ logger: silentLogger, instance: 11 }).facts;
    for (const folder of folders) expect(maskedFolders.includes(folder), folder).toBe(existsSync(folder));
  });

  test('every root of the device tree that has a disk of the host is hidden, except that of virtual devices', () => {
    const { maskedFolders } = createHost({ logger: silentLogger, instance: 11 }).facts;
    const disks = readdirSync('/sys/class/block').map((name) => realpathSync(`/sys/class/block/${name}`));
    for (const disk of disks)
      if (!disk.startsWith('/sys/devices/virtual/'))
        expect(
          maskedFolders.some((folder) => disk.startsWith(`${folder}/`)),
          disk,
        ).toBe(true);
    expect(maskedFolders).not.toContain('/sys/devices/virtual');
  });

  test('mounts that hide come after the mounts that they hide', () => {
    const order = config.mounts.map(({ destination }) => destination);
    for (const folder of folders)
      expect(order.indexOf(folder), folder).toBeGreaterThan(order.indexOf(`/${folder.split('/')[1] ?? ''}`));
  });
});

test.each(['/proc/bus', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger', '/proc/sys/kernel/random/boot_id'])(
  '%s is read-only',
  (path) => {
    expect(config.linux.readonlyPaths).toContain(path);
  },
);

test('/proc/sys is made read-only before the boot id below it, which would be writable otherwise', () => {
  const { readonlyPaths } = config.linux;
  expect(readonlyPaths.indexOf('/proc/sys')).toBeLessThan(readonlyPaths.indexOf('/proc/sys/kernel/random/boot_id'));
});

describe('mounts', () => {
  test.each([
    ['/proc', ['nosuid', 'noexec', 'nodev']],
    ['/sys', ['nosuid', 'noexec', 'nodev', 'ro']],
    ['/dev/pts', ['nosuid', 'noexec', 'newinstance']],
    ['/etc/resolv.conf', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/etc/hosts', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/etc/hostname', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/etc/machine-id', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/proc/sys/kernel/random/boot_id', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/run/soulbox', ['nosuid', 'nodev', 'noexec']],
    ['/.soulbox', ['ro', 'nosuid', 'nodev']],
  ])('%s is mounted with %j', (destination, options) => {
    expect(mountAt(destination).options).toEqual(expect.arrayContaining(options));
  });

  test('only devices of the host are mounted; the envd bundle comes from a mount of its own', () => {
    const sources = config.mounts.filter(({ type }) => type === 'bind').map(({ source }) => source);
    const ofHost = sources.filter((source) => !source.startsWith(`${layout.disk}/`));
    const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`);
    // An overlay of its own: a bind mount of the host's folder would show its location.
    expect(ofHost).toEqual([...devices, layout.envdBundle]);
    for (const device of devices)
      expect(mountAt(device).options).toEqual(expect.arrayContaining(['ro', 'nosuid', 'noexec']));
  });

  // devpts(5): a terminal belongs to its user; the group tty, which has this number in every image, may write to it.
  test.each([
    ['/proc', 'proc', []],
    ['/sys', 'sysfs', []],
    ['/dev/pts', 'devpts', ['ptmxmode=0666', 'mode=0620', 'gid=5']],
  ])('%s is a %s of the sandbox itself, with %j', (destination, type, options) => {
    const mount = mountAt(destination);
    expect(mount.type).toBe(type);
    expect(mount.options).toEqual(expect.arrayContaining(options));
  });

  test('mounts stay in the sandbox', () => {
    expect(config.linux['rootfsPropagation']).toBe('private');
  });
});

describe('limits', () => {
  const { resources } = config.linux;
  const bytes = 512 * 1024 * 1024;

  test('memory has a limit, and no swap beside it', () => {
    expect(resources.memory).toEqual({ limit: bytes, swap: bytes });
  });

  test('CPU time has a limit', () => {
    expect(resources.cpu).toEqual({ period: 20_000, quota: 40_000 });
  });

  test('the number of processes has a limit', () => {
    expect(resources.pids).toEqual({ limit: 400 });
  });

  test('only null, zero, full, random, urandom, tty, ptmx and terminals may be used, and no device may be created', () => {
    const character = (major: number, minor?: number): object => ({
      ...{ allow: true, type: 'c', major, access: 'rw' },
      ...(minor === undefined ? {} : { minor }),
    });
    expect(resources.devices).toEqual([
      { allow: false, access: 'rwm' },
      ...[3, 5, 7, 8, 9].map((minor) => character(1, minor)),
      ...[character(5, 0), character(5, 2), character(136)],
    ]);
  });

  test.each([
    ['RLIMIT_CORE', 0, 0],
    ['RLIMIT_NOFILE', 1024, 4096],
    // A fixed number is left for root.
    ['RLIMIT_NPROC', 336, 336],
  ])('%s is %i, at most %i', (type, soft, hard) => {
    expect(config.process.rlimits.filter((limit) => limit.type === type)).toEqual([{ type, soft, hard }]);
  });

  test('a user of a small sandbox still gets three quarters of its processes', () => {
    const small = createOciConfig({ ...spec, limits: { ...spec.limits, maxProcesses: 100 } }, layout, {
      ...places,
      facts,
      seccomp,
    }) as Config;
    expect(small.process.rlimits).toContainEqual({ type: 'RLIMIT_NPROC', soft: 75, hard: 75 });
  });

  test('a server with a low limit of open files gives no more than it has', () => {
    expect(configWith({ ...facts, openFilesMax: 512 }).process.rlimits).toContainEqual({
      ...{ type: 'RLIMIT_NOFILE', soft: 512, hard: 512 },
    });
  });

  test("the kernel's OOM killer never spares a sandbox longer than an ordinary process or the server", () => {
    expect(configWith({ ...facts, oomScore: -900 }).process.oomScoreAdj).toBe(0);
    expect(configWith({ ...facts, oomScore: 300 }).process.oomScoreAdj).toBe(300);
  });

  test('the children of envd have the usual priority, envd a slightly higher one', () => {
    expect(envdNice).toBe(-10);
    expect(config.process.scheduler).toEqual({
      ...{ policy: 'SCHED_OTHER', nice: -10, flags: ['SCHED_FLAG_RESET_ON_FORK'] },
    });
  });
});

describe('the first process', () => {
  test('is envd at /, without a terminal', () => {
    expect(config.process).toMatchObject({ cwd: '/', terminal: false, args: spec.envdBundle.command });
  });

  test('lets sudo work', () => {
    expect(config.process['noNewPrivileges']).toBe(false);
  });

  test("finds programs in the usual places of images, local ones first, and has a home, an encoding and envd's variables", () => {
    const variables = new Map(config.process.env.map((text) => text.split('=') as [string, string]));
    const folders = (variables.get('PATH') ?? '').split(':');
    for (const folder of ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin']) expect(folders).toContain(folder);
    expect(folders.indexOf('/usr/local/bin')).toBeLessThan(folders.indexOf('/usr/bin'));
    expect(variables.get('HOME')).toBe('/root');
    expect(variables.get('LANG')).toMatch(/UTF-8$/);
    expect(variables.get('ENVD')).toBe('1');
    // The kernel is the host's.
    expect(variables.has('OWN_KERNEL')).toBe(false);
  });
});

// Required by runtime-spec 1.2, config.md; a semantic version.
test('the configuration names the version of its format', () => {
  expect(config.ociVersion).toMatch(/^1\.\d+\.\d+$/);
});

describe('identity', () => {
  test.each(['pid', 'mount', 'network', 'ipc', 'uts', 'cgroup'])('the %s namespace is new', (type) => {
    expect(config.linux.namespaces).toContainEqual({ type });
  });

  test("the user namespace is the one that the sandbox's own id has created", () => {
    expect(config.linux.namespaces).toContainEqual({ type: 'user', path: '/proc/7/fd/9' });
    const mapping = [{ containerID: 0, hostID: 655_360, size: 65_536 }];
    expect(config.linux).toMatchObject({ uidMappings: mapping, gidMappings: mapping });
  });

  test.each([
    'CAP_SYS_ADMIN',
    'CAP_NET_ADMIN',
    'CAP_NET_RAW',
    'CAP_SYS_PTRACE',
    'CAP_SYS_MODULE',
    'CAP_SYS_RAWIO',
    'CAP_SYS_RESOURCE',
    'CAP_SYS_TIME',
    'CAP_SYS_NICE',
    'CAP_SYS_BOOT',
    'CAP_SYSLOG',
    'CAP_BPF',
    'CAP_PERFMON',
    'CAP_CHECKPOINT_RESTORE',
    'CAP_DAC_READ_SEARCH',
    'CAP_MAC_ADMIN',
    'CAP_IPC_LOCK',
    'CAP_IPC_OWNER',
    'CAP_LINUX_IMMUTABLE',
    'CAP_LEASE',
    'CAP_BLOCK_SUSPEND',
    'CAP_WAKE_ALARM',
  ])('%s is in no set', (name) => {
    for (const set of Object.values(config.process.capabilities)) expect(set).not.toContain(name);
  });

  test('root has the capabilities that package managers need, and passes none on', () => {
    const { bounding, effective, permitted, inheritable, ambient } = config.process.capabilities;
    expect(bounding).toEqual(
      'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'
        .split(' ')
        .map((name) => `CAP_${name}`),
    );
    expect([effective, permitted]).toEqual([bounding, bounding]);
    expect([inheritable, ambient]).toEqual([[], []]);
  });

  test('the control group and the list of calls are the prepared ones', () => {
    expect(config.linux['cgroupsPath']).toBe('/soulbox-11/isample');
    expect(config.linux['seccomp']).toBe(seccomp);
    expect(config.root).toEqual({ path: layout.rootfs, readonly: false });
    expect(config.process.user).toEqual({ uid: 0, gid: 0, umask: 0o022 });
  });

  test('only two kernel settings are set, both of its own network', () => {
    expect(config.linux['sysctl']).toEqual({
      'net.ipv4.ping_group_range': '0 65535',
      'net.ipv4.ip_unprivileged_port_start': '0',
    });
  });
});
