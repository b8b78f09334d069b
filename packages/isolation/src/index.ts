export type {
  BlockDigests,
  DiskReading,
  Driver,
  DriverCapabilities,
  DriverFinding,
  EnvdRuntime,
  ResourceSample,
  SandboxAddress,
  SandboxDisk,
  SandboxInstance,
  SandboxLimits,
  SandboxSpec,
  SavedMemory,
} from './driver.ts';
export { createContainerDriver } from './container/driver.ts';
export { removeLeftRoots } from './container/checkpoint/left-roots.ts';
export { createGvisorDriver } from './gvisor/driver.ts';
export { hasFastGroupMoves, makeGroupMovesFast } from './cgroup/fast-moves.ts';
export { detectCgroupLayout } from './cgroup/layout.ts';
export type { CgroupLayout } from './cgroup/layout.ts';
export { limitSandboxesTogether } from './root/limit-together.ts';
export { readHostCgroups, undoHostCgroups } from './cgroup/host-changes.ts';
export type { HostCgroups } from './cgroup/host-changes.ts';
export { isInstanceBusy, listInstanceTraces, removeInstanceTraces } from './root/instance-traces.ts';
export { prepareCgroups } from './cgroup/prepare.ts';
export { tableBytes } from './root/disk.ts';
export { runFolder } from './root/layout.ts';
