export * from './fuse-fs.ts';
export { mountFs, type FuseSession } from './session/mount-fs.ts';
export { negotiateMount, openMount, type ConnectionOptions, type Mounted, type MountOptions } from './session/mount.ts';
export { serve, type Connection, type ServeOptions, type Serving } from './session/serve.ts';
export { createWriteBuffers, type WriteBuffers } from './session/write-buffers.ts';
export type { OperationStats, SessionStats } from './session/stats.ts';
export type { Negotiated } from './wire/init.ts';
export { createLockTable, type LockTable } from './locks/lock-table.ts';
export { locksOverlap, replaceLocks } from './locks/ranges.ts';
export { createMemoryFs, type MemoryFsOptions } from './memory/memory-fs.ts';
export type { ServedMount } from './takeover/messages.ts';
export { serveInherited } from './takeover/serve-inherited.ts';
export {
  superviseMounts,
  type SupervisedMounts,
  type SupervisorEvent,
  type SupervisorOptions,
} from './takeover/supervise-mounts.ts';
