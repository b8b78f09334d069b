import { cpuTimeOf } from '../cgroup/cpu-time.ts';
import type { SandboxSpec } from '../driver.ts';
import { idCount } from '../root/id-map.ts';
import type { SandboxLayout } from './layout.ts';
import { sandboxCapabilities } from '../oci/capabilities.ts';
import { containerMounts, maskedFiles, readOnlyPaths } from './mounts.ts';
import { allowedDevices, groupLimits, processesOfUser } from '../oci/limits.ts';
import type { SeccompProfile } from '../oci/seccomp-profile.ts';

/** Facts about the host that the OCI configuration needs. */
export interface HostFacts {
  /** The server's own hard limit of open files: without CAP_SYS_RESOURCE no process can get more. */
  readonly openFilesMax: number;
  /** The server's own OOM score: without CAP_SYS_RESOURCE it cannot be lowered. */
  readonly oomScore: number;
  /** Folders of /proc and /sys that exist here and must be hidden. */
  readonly maskedFolders: readonly string[];
}

/** envd runs at this nice value, its children at 0. For this and the following see docs/decisions/004. */
export const envdNice = -10;

/**
 * The OCI runtime configuration (opencontainers/runtime-spec 1.2) of one sandbox. `userNamespace`: the path of the one with
 * its ids.
 */
export function createOciConfig(
  spec: SandboxSpec,
  layout: SandboxLayout,
  {
    cgroupsPath,
    userNamespace,
    facts,
    seccomp,
  }: {
    readonly cgroupsPath: string;
    readonly userNamespace: string;
    readonly facts: HostFacts;
    readonly seccomp: SeccompProfile;
  },
): object {
  const mapping = [{ containerID: 0, hostID: spec.idBase, size: idCount }];
  return {
    ociVersion: '1.2.0',
    hostname: spec.hostname,
    root: { path: layout.rootfs, readonly: false },
    process: createProcess(spec, facts),
    mounts: containerMounts(spec, layout, facts.maskedFolders),
    linux: {
      namespaces: [
        ...['pid', 'mount', 'network', 'ipc', 'uts', 'cgroup'].map((type) => ({ type })),
        { type: 'user', path: userNamespace },
      ],
      uidMappings: mapping,
      gidMappings: mapping,
      cgroupsPath,
      resources: createResources(spec),
      // An ordinary user may use ping and ports below 1024: the network namespace belongs to the sandbox.
      sysctl: { 'net.ipv4.ping_group_range': '0 65535', 'net.ipv4.ip_unprivileged_port_start': '0' },
      rootfsPropagation: 'private',
      maskedPaths: maskedFiles,
      readonlyPaths: readOnlyPaths,
      seccomp,
    },
  };
}

function createProcess(spec: SandboxSpec, facts: HostFacts): object {
  const { bounding, ...sets } = sandboxCapabilities;
  const userProcesses = processesOfUser(spec.limits);
  return {
    terminal: false,
    user: { uid: 0, gid: 0, umask: 0o022 },
    cwd: '/',
    args: spec.envdBundle.command,
    env: [
      ...['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LANG=C.UTF-8'],
      ...spec.envdBundle.environment,
    ],
    capabilities: { bounding, ...sets },
    noNewPrivileges: false,
    oomScoreAdj: Math.max(0, facts.oomScore),
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: Math.min(1024, facts.openFilesMax), hard: facts.openFilesMax },
      { type: 'RLIMIT_NPROC', soft: userProcesses, hard: userProcesses },
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
    ],
    scheduler: { policy: 'SCHED_OTHER', nice: envdNice, flags: ['SCHED_FLAG_RESET_ON_FORK'] },
  };
}

function createResources(spec: SandboxSpec): object {
  const limits = groupLimits(spec.limits);
  return {
    memory: { limit: limits.memoryBytes, swap: limits.memoryBytes },
    cpu: cpuTimeOf(limits.cpus),
    pids: { limit: limits.maxProcesses },
    devices: [
      { allow: false, access: 'rwm' },
      ...allowedDevices.map(([major, minor]) => ({
        allow: true,
        type: 'c',
        major,
        ...(minor === undefined ? {} : { minor }),
        access: 'rw',
      })),
    ],
  };
}
