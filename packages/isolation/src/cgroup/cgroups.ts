/** Counters of one group and all below it. */
export interface CgroupUsage {
  readonly cpuUsedSeconds: number;
  readonly memoryRssBytes: number;
  readonly memoryCacheBytes: number;
  readonly memorySwapBytes: number;
  readonly memoryWorkingSetBytes: number;
  /** Infinity without a limit. */
  readonly memoryLimitBytes: number;
}

/** What a group may use, in the kernel's terms. */
export interface CgroupLimits {
  readonly memoryBytes: number;
  /** CPUs' worth of time. */
  readonly cpus: number;
  readonly maxProcesses: number;
  /** What `devices.allow` takes, all else is forbidden. v1 only: on v2 a filter is a BPF program. */
  readonly devices: readonly string[];
}

/** The control groups of this host behind one face. A group is named by its path from the root, like `/soulbox-0/id`. */
export interface Cgroups {
  readonly version: 1 | 2;
  /** The folders that make up a group: one per v1 tree, just one on v2. A process of the group is in all of them. */
  directoriesOf(group: string): readonly string[];
  /** Makes a group that holds no process yet, and its parents. One that exists gets the limits. */
  create(group: string, limits: CgroupLimits): Promise<void>;
  /**
   * Limits the CPU time of all groups below `parent` together, in CPUs; Infinity takes the limit away. Makes the group. Groups below
   * that may use more than this get it as their own limit.
   */
  limitTogether(parent: string, cpus: number): Promise<void>;
  /** The folder that CRIU freezes by. */
  freezerOf(group: string): string;
  /** Stops every process in the group. Safe to repeat. Throws `checkpoint_failed` after 5 s, thawed again. */
  freeze(group: string): Promise<void>;
  /** Lets a frozen group go on. Safe to repeat; a group that is not there is fine. */
  thaw(group: string): Promise<void>;
  /** Synchronous: three or four reads of pseudo files, which never wait. Throws ENOENT when the group is gone. */
  readUsage(group: string): CgroupUsage;
  /** How many processes the kernel has ended because the group was out of memory; 0 when it is gone. */
  countOutOfMemory(group: string): number;
  /** Ends every process in the group and below, frozen ones too. Resolves when none is left; throws after 10 s. */
  kill(group: string): Promise<void>;
  /** Removes the group's folders and those below. A group that is not there is fine. */
  remove(group: string): Promise<void>;
  /** Names of the groups right below `parent`. */
  listChildren(parent: string): Promise<readonly string[]>;
}
