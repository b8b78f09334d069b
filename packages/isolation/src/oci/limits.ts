import type { CgroupLimits } from '../cgroup/cgroups.ts';
import type { SandboxLimits } from '../driver.ts';

// For the following see docs/decisions/004.
const bytesPerMb = 1024 * 1024;

/** Character devices a sandbox may open: null, zero, full, random, urandom, tty, ptmx and the terminals of devpts. */
export const allowedDevices = [
  [1, 3],
  [1, 5],
  [1, 7],
  [1, 8],
  [1, 9],
  [5, 0],
  [5, 2],
  [136, undefined],
] as const;

/** Processes that only the sandbox's root may start, so that envd can still help when a user has used up the rest. */
const processesForRoot = 64;

/** RLIMIT_NPROC: processes and threads of one user. */
export function processesOfUser({ maxProcesses }: SandboxLimits): number {
  return Math.max(maxProcesses - processesForRoot, Math.ceil(maxProcesses * 0.75));
}

/** The limits of a sandbox's control group; crun gets the same. */
export function groupLimits(limits: SandboxLimits): CgroupLimits {
  return {
    memoryBytes: limits.memoryMb * bytesPerMb,
    cpus: limits.cpus,
    maxProcesses: limits.maxProcesses,
    devices: allowedDevices.map(([major, minor]) => `c ${major}:${minor ?? '*'} rw`),
  };
}
