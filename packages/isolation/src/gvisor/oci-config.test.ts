// Tests each isolation measure of the configuration separately: in a running sandbox another measure often has the same
// result.
import { describe, expect, test } from 'vitest';
import { sandboxCapabilities } from '../oci/capabilities.ts';
import { sampleSpec } from '../testing/sample-spec.ts';
import { layoutOf } from './layout.ts';
import { createOciConfig } from './oci-config.ts';
import { createSeccompProfile } from './seccomp-profile.ts';

interface Mount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

const spec = sampleSpec();
const layout = layoutOf(11, spec.sandboxId, spec.directory);
const config = createOciConfig(spec, layout, '/soulbox-11/isample', 4096) as {
  readonly ociVersion: string;
  readonly root: unknown;
  readonly mounts: readonly Mount[];
  readonly process: Readonly<Record<string, unknown>>;
  readonly linux: Readonly<Record<string, unknown>>;
};

describe('mounts', () => {
  test.each([
    ['/proc', 'proc', ['nosuid', 'noexec', 'nodev']],
    ['/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']],
    ['/dev', 'tmpfs', ['nosuid', 'noexec']],
    ['/dev/pts', 'devpts', ['nosuid', 'noexec']],
    // Half of its memory, because filling all of it would end the sandbox.
    ['/dev/shm', 'tmpfs', ['nosuid', 'nodev', 'noexec', 'mode=1777', 'size=256m']],
    ['/etc/resolv.conf', 'bind', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/etc/hosts', 'bind', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/etc/hostname', 'bind', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/etc/machine-id', 'bind', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/proc/sys/kernel/random/boot_id', 'bind', ['ro', 'nosuid', 'nodev', 'noexec']],
    ['/run/soulbox', 'bind', ['nosuid', 'nodev', 'noexec']],
    // Empty places, which the host mounts read-only. With the volumes that a restore has in them already.
    ['/run/soulbox-volumes', 'bind', ['rbind', 'nosuid', 'nodev']],
    ['/run/soulbox-buckets', 'bind', ['rbind', 'nosuid', 'nodev', 'disable_file_handle_sharing']],
    ['/.soulbox', 'bind', ['ro', 'nosuid', 'nodev']],
  ])('%s is a %s with %j', (destination, type, options) => {
    const mounts = config.mounts.filter((mount) => mount.destination === destination);
    expect(mounts).toEqual([expect.objectContaining({ type, options: expect.arrayContaining(options) as unknown })]);
  });

  test('bind mounts only use paths within the root that is mounted for it', () => {
    for (const { source } of config.mounts.filter(({ type }) => type === 'bind'))
      expect(source.startsWith(`${layout.rootfs}/`), source).toBe(true);
  });
});

describe('limits', () => {
  const bytes = 512 * 1024 * 1024;

  test('memory has a limit, and no swap beside it', () => {
    expect(config.linux['resources']).toMatchObject({ memory: { limit: bytes, swap: bytes } });
  });

  test('CPU time has a limit', () => {
    expect(config.linux['resources']).toMatchObject({ cpu: { period: 20_000, quota: 40_000 } });
  });

  test('the number of host processes has a limit, above what the programs inside can use up', () => {
    expect(config.linux['resources']).toMatchObject({ pids: { limit: 1056 } });
  });

  test.each([
    ['RLIMIT_CORE', 0, 0],
    ['RLIMIT_NOFILE', 1024, 4096],
    ['RLIMIT_NPROC', 336, 336],
  ])('%s is %i, at most %i', (type, soft, hard) => {
    const limits = config.process['rlimits'] as readonly { readonly type: string }[];
    expect(limits.filter((limit) => limit.type === type)).toEqual([{ type, soft, hard }]);
  });
});

describe('the first process', () => {
  test('is root at /, without a terminal, and others may not write to its new files', () => {
    expect(config.process).toMatchObject({
      ...{ user: { uid: 0, gid: 0, umask: 0o022 }, cwd: '/', terminal: false },
      args: spec.envdBundle.command,
    });
  });

  test('finds programs in the usual places of images, local ones first, and has a home and an encoding', () => {
    const variables = new Map((config.process['env'] as string[]).map((text) => text.split('=') as [string, string]));
    const folders = (variables.get('PATH') ?? '').split(':');
    for (const folder of ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin']) expect(folders).toContain(folder);
    expect(folders.indexOf('/usr/local/bin')).toBeLessThan(folders.indexOf('/usr/bin'));
    expect(variables.get('HOME')).toBe('/root');
    expect(variables.get('LANG')).toMatch(/UTF-8$/);
  });

  test('has the files of the sandbox as its root, and may write them', () => {
    expect(config.root).toEqual({ path: layout.root, readonly: false });
  });
});

// Required by runtime-spec 1.2, config.md; a semantic version.
test('the configuration names the version of its format', () => {
  expect(config.ociVersion).toMatch(/^1\.\d+\.\d+$/);
});

describe('identity', () => {
  test('every namespace is new; launch.sh has created the network namespace', () => {
    expect(config.linux['namespaces']).toEqual([
      ...['pid', 'mount', 'ipc', 'uts', 'user'].map((type) => ({ type })),
      { type: 'network', path: '/proc/self/ns/net' },
    ]);
  });

  test('root is the first id of its own range, without new privileges and with the capabilities of a container', () => {
    const mapping = [{ containerID: 0, hostID: 655_360, size: 65_536 }];
    expect(config.linux).toMatchObject({ uidMappings: mapping, gidMappings: mapping });
    expect(config.process).toMatchObject({ noNewPrivileges: true, capabilities: sandboxCapabilities });
  });

  test('envd learns that it has a kernel of its own', () => {
    expect(config.process['env']).toEqual(expect.arrayContaining(['ENVD=1', 'OWN_KERNEL=1']));
  });

  test('the control group and the list of calls are set', () => {
    expect(config.linux).toMatchObject({ cgroupsPath: '/soulbox-11/isample', seccomp: createSeccompProfile() });
  });
});
