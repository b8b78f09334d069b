import { cpuTimeOf } from '../cgroup/cpu-time.ts';
import { sandboxCapabilities } from '../oci/capabilities.ts';
import { processesOfUser } from '../oci/limits.ts';
import type { SandboxLimits, SandboxSpec } from '../driver.ts';
import { idCount } from '../root/id-map.ts';
import { gvisorMounts } from './mounts.ts';
import type { SandboxLayout } from './layout.ts';
import { createSeccompProfile } from './seccomp-profile.ts';

/**
 * Processes and threads of the host: one for each of the sandbox's, plus those of gVisor's kernel and of the process
 * that opens files. A kernel that cannot create one more ends the sandbox, so this limit is above the number that root
 * and a user may start.
 */
const hostProcesses = ({ maxProcesses }: SandboxLimits): number => 2 * maxProcesses + 256;

/** The OCI runtime configuration (opencontainers/runtime-spec 1.2) of one sandbox. */
export function createOciConfig(
  spec: SandboxSpec,
  layout: SandboxLayout,
  cgroupsPath: string,
  openFilesMax: number,
): object {
  const mapping = [{ containerID: 0, hostID: spec.idBase, size: idCount }];
  return {
    ociVersion: '1.2.0',
    hostname: spec.hostname,
    root: { path: layout.root, readonly: false },
    process: createProcess(spec, openFilesMax),
    mounts: gvisorMounts(spec, layout),
    linux: {
      namespaces: [
        ...['pid', 'mount', 'ipc', 'uts', 'user'].map((type) => ({ type })),
        // launch.sh has created it: it belongs to the host, so that nothing in the sandbox can administer it.
        { type: 'network', path: '/proc/self/ns/net' },
      ],
      uidMappings: mapping,
      gidMappings: mapping,
      cgroupsPath,
      resources: createResources(spec),
      seccomp: createSeccompProfile(),
    },
  };
}

function createProcess(spec: SandboxSpec, openFilesMax: number): object {
  const userProcesses = processesOfUser(spec.limits);
  return {
    terminal: false,
    user: { uid: 0, gid: 0, umask: 0o022 },
    cwd: '/',
    args: spec.envdBundle.command,
    env: [
      ...['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LANG=C.UTF-8'],
      ...spec.envdBundle.environment,
      ...spec.envdBundle.forOwnKernel,
    ],
    capabilities: sandboxCapabilities,
    noNewPrivileges: true,
    rlimits: [
      { type: 'RLIMIT_NOFILE', soft: Math.min(1024, openFilesMax), hard: openFilesMax },
      { type: 'RLIMIT_NPROC', soft: userProcesses, hard: userProcesses },
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
    ],
  };
}

function createResources(spec: SandboxSpec): object {
  const memoryBytes = spec.limits.memoryMb * 1024 * 1024;
  return {
    memory: { limit: memoryBytes, swap: memoryBytes },
    cpu: cpuTimeOf(spec.limits.cpus),
    pids: { limit: hostProcesses(spec.limits) },
  };
}
