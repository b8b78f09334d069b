import type { ReadText } from '@soulbox/linux/held-files';

/** Counters of a group and all groups below it. */
export interface CgroupUsage {
  readonly cpuUsedSeconds: number;
  readonly memoryRssBytes: number;
  readonly memoryCacheBytes: number;
  readonly memorySwapBytes: number;
  readonly memoryWorkingSetBytes: number;
  /** Infinity if there is no limit. */
  readonly memoryLimitBytes: number;
}

/** The limits of a group, in the kernel's terms. */
export interface CgroupLimits {
  readonly memoryBytes: number;
  /** Number of CPUs' worth of time. */
  readonly cpus: number;
  readonly maxProcesses: number;
  /** Entries for `devices.allow`; all other devices are forbidden. v1 only: on v2 a device filter is a BPF program. */
  readonly devices: readonly string[];
}

/**
 * One interface for all versions of the host's control groups. A group is named by its path from the root, like
 * `/soulbox-0/id`.
 */
export interface Cgroups {
  readonly version: 1 | 2;
  /** The folders of a group: one per v1 tree, a single one on v2. A process of the group is in all of them. */
  directoriesOf(group: string): readonly string[];
  /** Creates a group that has no process yet, and its parents. An existing group gets the limits. */
  create(group: string, limits: CgroupLimits): Promise<void>;
  /**
   * Limits the CPU time of all groups below `parent` together, in CPUs; Infinity removes the limit. Creates the group.
   * A group below that may use more than this gets it as its own limit.
   */
  limitTogether(parent: string, cpus: number): Promise<void>;
  /** The folder that CRIU uses to freeze the group. */
  freezerOf(group: string): string;
  /**
   * Stops every process in the group. Can be repeated. If that takes longer than 5 s, thaws the group again and throws
   * `checkpoint_failed`.
   */
  freeze(group: string): Promise<void>;
  /** Like `freeze`, but does not wait: for processes that a debugger holds, which freeze when it lets them go. */
  beginFreeze(group: string): Promise<void>;
  /** Thaws a frozen group. Can be repeated; a group that does not exist is not an error. */
  thaw(group: string): Promise<void>;
  /**
   * Synchronous: three or four reads of pseudo files, which never block. Throws ENOENT when the group does not exist.
   * `read`: how the files are read. Default: each is opened.
   */
  readUsage(group: string, read?: ReadText): CgroupUsage;
  /** `cpuUsedSeconds` of `readUsage`, by one short read. */
  readCpuUsed(group: string, read?: ReadText): number;
  /**
   * Changes the memory limit of a group that exists. False, and nothing is changed, if it uses more than that.
   * Synchronous, like `readUsage`.
   */
  setMemoryLimit(group: string, bytes: number): boolean;
  /**
   * The number of processes that the kernel has ended because the group was out of memory; 0 if the group does not
   * exist.
   */
  countOutOfMemory(group: string): number;
  /**
   * Ends every process in the group and below, including frozen ones. Resolves when none is left; throws after 10 s.
   */
  kill(group: string): Promise<void>;
  /** Removes the group's folders and those below. A group that does not exist is not an error. */
  remove(group: string): Promise<void>;
  /** Names of the groups directly below `parent`. */
  listChildren(parent: string): Promise<readonly string[]>;
}
