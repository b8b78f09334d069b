export type {
  ArrivingBlocks,
  BlockDigests,
  DiskReading,
  Driver,
  DriverCapabilities,
  DriverFinding,
  EnvdBundle,
  ResourceSample,
  SandboxDisk,
  SandboxInstance,
  SandboxLimits,
  SandboxSpec,
  SandboxVolume,
  SavedMemory,
} from './driver.ts';
export { createDrivers } from './drivers.ts';
export type { DriverOptions } from './drivers.ts';
export { hasFastGroupMoves, makeGroupMovesFast } from './cgroup/fast-moves.ts';
export { detectCgroupLayout } from './cgroup/layout.ts';
export type { CgroupLayout } from './cgroup/layout.ts';
export { limitSandboxesTogether } from './root/limit-together.ts';
export { readHostCgroups, undoHostCgroups } from './cgroup/host-changes.ts';
export type { HostCgroups } from './cgroup/host-changes.ts';
export { isInstanceBusy, listInstanceTraces, removeInstanceTraces } from './root/instance-traces.ts';
export { prepareCgroups } from './cgroup/prepare.ts';
export { tableBytes } from './root/disk.ts';
export { runFolder } from './host/names.ts';
export { createArrivalFile, openArrivalFile, sizeOfArrival } from './host/arrival.ts';
export type { ArrivalFile } from './host/arrival.ts';
export { openClearFolder } from './host/clear-folder.ts';
