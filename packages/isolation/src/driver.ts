import type { Secret } from '@soulbox/base';

/** The resources that a sandbox may use. The kernel enforces every limit, not envd. */
export interface SandboxLimits {
  /** CPUs' worth of time, up to 64; a fraction if all sandboxes together may not use that much. */
  readonly cpus: number;
  /** MiB of memory, page cache included. */
  readonly memoryMb: number;
  /** MiB of the writable layer. */
  readonly diskMb: number;
  /** Processes and threads together. */
  readonly maxProcesses: number;
}

/** The read-only folder with envd that all sandboxes share, see apps/envd/build. */
export interface EnvdBundle {
  /** Host folder, mounted read-only at `mountPoint` in every sandbox. */
  readonly directory: string;
  /** Path inside the sandbox, for instance `/.soulbox`. */
  readonly mountPoint: string;
  /** Argument array that starts envd, with paths as seen inside. */
  readonly command: readonly string[];
  /** Variables of envd itself, `NAME=value`; it does not pass them on. */
  readonly environment: readonly string[];
  /** Additional variables for a driver with `ownKernel`: envd replaces functions that such a kernel lacks. */
  readonly forOwnKernel: readonly string[];
}

/** Everything a driver needs to create one sandbox. Paths are those of the host; none comes from a tenant. */
export interface SandboxSpec {
  readonly sandboxId: string;
  /** A folder for this sandbox only, existing and empty. The driver keeps all its files in it. */
  readonly directory: string;
  /** Root of the template; owners are 0-based; shared by all sandboxes and never written. */
  readonly rootfs: string;
  /**
   * Frozen disks of earlier sandboxes between the template and this sandbox's own disk, topmost first. Never written.
   */
  readonly layers: readonly string[];
  /** `new`: a disk is created. `kept`: the disk that `suspend` left in `directory` is used again. */
  readonly disk: 'new' | 'kept';
  /**
   * How much the disk may grow on the host's disk beyond its size when it is mounted. Applies before anything in the
   * sandbox runs, and until `SandboxDisk.allow` sets another value.
   */
  readonly diskGrowthBytes: number;
  /**
   * Differs for each copy of a sandbox, and changes when memory of the past is restored; in /run/soulbox/generation.
   */
  readonly generation: string;
  readonly envdBundle: EnvdBundle;
  /** First host uid and gid of a range of 65536 that no other sandbox uses. */
  readonly idBase: number;
  readonly limits: SandboxLimits;
  readonly hostname: string;
  /** Written into the sandbox's resolv.conf. Empty: no name server. */
  readonly nameServers: readonly string[];
  /** envd requires it on host-only calls. Only the sandbox's root can read it. */
  readonly hostToken: Secret;
  /**
   * Called once when the network namespace exists, before envd or any restored process runs. If it rejects, none of
   * them runs, and the start or restore throws the same error. `networkNamespace` is a path that can be opened, such as
   * `/proc/PID/ns/net`.
   */
  readonly attachNetwork: (networkNamespace: string) => Promise<void>;
  /** Of a restore: the volumes that the saved memory had, at their places. A start does without; see `attachVolumes`. */
  readonly volumes: readonly SandboxVolume[];
}

/** A volume of a sandbox, as a file system of its own that is mounted nowhere yet. */
export interface SandboxVolume {
  /** Its number in the sandbox, from 0 on, by which a saved memory knows it. The source of the mount is `volume-<index>`. */
  readonly index: number;
  /** Absolute path in the sandbox. */
  readonly path: string;
  /** A file of it is written when it is closed: a driver must close its own descriptor when the program does. Default false. */
  readonly writesAtClose?: boolean;
  /** An open descriptor of the mount, which has no place and no map of ids. The caller closes it after the call. */
  readonly mount: number;
}

/** A sandbox whose envd process exists. */
export interface SandboxInstance {
  readonly sandboxId: string;
  readonly directory: string;
  /** Path of its network namespace, through which the host reaches its ports. */
  readonly networkNamespace: string;
  /** Host pid of the sandbox's init. Never signal it without `isAlive`: pids are reused. */
  readonly initPid: number;
  /**
   * Start time of init in clock ticks since boot (proc_pid_stat(5), field 22): distinguishes it from a later process
   * with the same pid.
   */
  readonly initStartTicks: number;
}

/** One reading of a sandbox's resource use. Counters begin with the sandbox. */
export interface ResourceSample {
  readonly cpuUsedSeconds: number;
  readonly memoryRssBytes: number;
  readonly memoryCacheBytes: number;
  readonly memorySwapBytes: number;
  /** Usage without the inactive file cache: the memory that cannot be reclaimed without harm. */
  readonly memoryWorkingSetBytes: number;
  readonly memoryLimitBytes: number;
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
}

/** The relation of a sandbox's disk, a sparse image, to the disk of the host. */
export interface DiskReading {
  /** Size of the image, including its file system's own tables. */
  readonly sizeBytes: number;
  /** Free space in the file system: all other blocks may need space on the host's disk. */
  readonly freeBytes: number;
  /** The inode tables, which count as used but are written only when they are used. */
  readonly tableBytes: number;
  /** The part of the free space that may not be used for now. */
  readonly heldBackBytes: number;
  /** The space that the image uses on the host's disk. */
  readonly allocatedBytes: number;
}

/** The disk of a running sandbox, as seen by the host. Reads and writes are synchronous and never block. */
export interface SandboxDisk {
  /**
   * Whether a process of the sandbox has used CPU time since the last `peek` or `read`. Otherwise nothing was written to the
   * disk from inside; the kernel may have written out what was cached. True if this cannot be read.
   */
  hasRun(): boolean;
  /** The values that change all the time, read in some microseconds; undefined if they cannot be read at the moment. */
  peek(): Pick<DiskReading, 'freeBytes' | 'allocatedBytes'> | undefined;
  /**
   * Undefined once the disk is not mounted anywhere any more. If its processes have just ended, returns the last
   * reading until all their unwritten data is written.
   */
  read(): DiskReading | undefined;
  /** Lets the file system grow by exactly that much beyond `reading`, whichever user in it writes. */
  allow(growthBytes: number, reading: DiskReading): void;
  /** Writes out the data that the kernel still holds of it. */
  flush(signal: AbortSignal): Promise<void>;
}

/**
 * Abilities of a driver beyond the core of the interface. A test of a missing capability is skipped, with the
 * capability as its reason.
 */
export interface DriverCapabilities {
  /** Programs inside use a kernel of the sandbox's own; the host's kernel sees one filtered process. */
  readonly ownKernel: boolean;
  /** setuid programs such as sudo work inside. */
  readonly setuid: boolean;
  /** Running out of memory ends one process, not the sandbox. */
  readonly survivesOutOfMemory: boolean;
  /**
   * Files in /dev/shm are on the disk. Otherwise they are memory: at most half of the sandbox's memory, and a full
   * /dev/shm is an error.
   */
  readonly sharedMemoryOnDisk: boolean;
  /** A user cannot read the environment of another user's processes. */
  readonly hidesEnvironments: boolean;
  /** Files keep attributes of users (user.*, xattr(7)): envd stores their metadata there. */
  readonly fileAttributes: boolean;
  /** Memory and processes can be saved and restored. */
  readonly checkpoint: boolean;
  /** Files that were deleted while a program has them open can be saved; otherwise the checkpoint is refused. */
  readonly deletedFiles: boolean;
  /**
   * A connection between programs inside that is being opened is complete after a restore; otherwise its client may wait
   * until its time is up.
   */
  readonly handshakes: boolean;
  /**
   * The session leader of a terminal can open /dev/tty again after a restore; descriptors that were open stay usable in
   * any case.
   */
  readonly restoredTerminal: boolean;
  /** A restore returns before all memory is read; the rest is loaded when it is touched. */
  readonly lazyRestore: boolean;
  /** Volumes can be mounted. */
  readonly volumes: boolean;
  /**
   * On a volume, locks and appends of one sandbox count for the others. Otherwise a lock holds among the programs of one
   * sandbox only, and lines that several sandboxes append to a file at the same time can replace each other.
   */
  readonly sharedVolumeLocks: boolean;
}

/** A saved memory to restore from. */
export interface SavedMemory {
  /**
   * A folder with what `checkpoint` saved. Its content is already verified, except the lazy parts. Only encrypted lazy
   * parts are written: they are empty files of the right size, into which the driver puts what has to be there.
   */
  readonly directory: string;
  /** A folder in memory for what the driver makes of them; it may serve other copies at the same time. */
  readonly scratch: string;
  /**
   * Digests of the large parts that are not verified yet. The driver verifies them block by block before it uses them,
   * and may return before it has read them all; then the folder must stay until the sandbox is suspended, destroyed or
   * saved again. Without any, all parts are read before the restore returns. Only drivers with `lazyRestore` get some.
   */
  readonly digests: BlockDigests;
}

/**
 * Saved memory that still arrives from an object store. Its files have their sizes already, but only some of their
 * blocks. A file beside them has a byte for each block that says whether it is there, written by whoever fetches, and
 * one that says whether somebody waits for it, written by those who read. Both ends can be killed at any time: what they
 * have written stays, and the next process goes on from it.
 */
export interface ArrivingBlocks {
  /** Of the file. */
  readonly path: string;
  /** Blocks of all files together. */
  readonly count: number;
  /** The number of the first block of each file. A file that is not named is there as a whole. */
  readonly first: Readonly<Record<string, number>>;
}

/** Digests of large parts of a saved memory, block by block. */
export interface BlockDigests {
  readonly blockBytes: number;
  /**
   * For each block, in order, by file name, in hexadecimal: its SHA-256, or nonce and tag if it is encrypted. The last
   * block may be shorter.
   */
  readonly parts: Readonly<Record<string, readonly string[]>>;
  /** Where the encrypted parts are, and their key in base64. Absent: they are readable, in the folder of the memory. */
  readonly sealed?: { readonly directory: string; readonly key: string; readonly checkpointId: string };
  /** Present: some blocks are not there yet. */
  readonly arriving?: ArrivingBlocks;
}

/** One fact that a driver found about the host. */
export interface DriverFinding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/**
 * One way to isolate a sandbox. Drivers hold no state: everything is in `spec.directory` and the kernel, so that a new
 * process can adopt the sandboxes of an old one. The suite in `conformance/` tests the rules that each driver must
 * keep.
 */
export interface Driver {
  readonly name: string;
  readonly capabilities: DriverCapabilities;
  /**
   * CPU use below this counts as idle, in CPUs: an idle envd uses some, and so do the driver's own processes for a
   * sandbox.
   */
  readonly idleCpus: number;
  /**
   * Program and version that save and restore here, for instance `criu 4.2.1` or `runsc release-20260101.0`; determined
   * once. Empty if nothing saves memory or the program does not report a version.
   */
  readVersion(): Promise<string>;
  /**
   * Whether a file that `checkpoint` writes under this name contains memory: such files are large, written from start
   * to end, and never changed. `restore` may verify them itself, see `SavedMemory.digests`.
   */
  isMemoryPart(name: string): boolean;
  /**
   * Removes leftovers of a killed server's tools that are on the host outside all sandboxes. Once, before the first
   * start. Never throws.
   */
  prepareHost(): Promise<void>;
  /** Checks the driver's requirements on the host; a trial may run `envdBundle`. Changes nothing. */
  probe(envdBundle: EnvdBundle): Promise<readonly DriverFinding[]>;
  /**
   * Creates and starts a sandbox; resolves when envd's process runs (it may not respond yet). A kept disk gets a new
   * identity and an empty /dev/shm. After an error only that disk is left.
   */
  start(spec: SandboxSpec): Promise<SandboxInstance>;
  /**
   * Mounts volumes in a running sandbox, at folders that it makes if they are missing. Throws `volume_mount_failed`, and
   * then may have mounted some: the sandbox must be destroyed. Only with the capability `volumes`.
   */
  attachVolumes(instance: SandboxInstance, volumes: readonly SandboxVolume[]): Promise<void>;
  /**
   * Writes changed pages that the kernel has of files of volumes to the volumes. The sandbox may be frozen. Throws if it has
   * ended, and if the volumes do not take them. A driver without the capability `volumes` does nothing.
   */
  syncVolumes(instance: SandboxInstance): Promise<void>;
  /**
   * Finds a sandbox that an earlier process started; undefined if it does not run any more. Waits for a start or
   * restore that the earlier process began and that continues without it.
   */
  adopt(sandboxId: string, directory: string): Promise<SandboxInstance | undefined>;
  /** Says that a lazy restore is likely soon: it need not wait then for the start of what loads the memory. */
  expectLateRestore(): void;
  /**
   * Has the blocks fetched that a restore of this memory reads before any program runs, if some still arrive. Optional: a
   * restore asks for them itself, a little later.
   */
  wantFirstBlocks(memory: SavedMemory): void;
  /** Whether the same process still runs. Synchronous: one or two reads of pseudo files. */
  isAlive(instance: SandboxInstance): boolean;
  /**
   * CPU time of all processes of the sandbox so far, a kernel of its own included, which always uses some. A process that
   * changes something, ends, or is killed uses CPU time. So while this stands still, only the host's kernel can have
   * changed something, for example by writing out cached data. Reads one short pseudo file, in 2 µs. Throws if the
   * processes are gone.
   */
  readCpuUsed(instance: SandboxInstance): number;
  /**
   * Why a sandbox that is not alive any more was ended. `damaged`: a part of its late memory was damaged.
   * `interrupted`: its memory could not be provided because the reader was interrupted. `out_of_memory`, for drivers
   * where that ends the whole sandbox. Undefined if it ended in another way.
   */
  whyEnded(sandboxId: string, directory: string): Promise<'damaged' | 'interrupted' | 'out_of_memory' | undefined>;
  /** Synchronous: seven reads of pseudo files, none of which blocks. Throws `sandbox_not_found` if it does not run. */
  sample(instance: SandboxInstance): ResourceSample;
  /** Throws `sandbox_not_found` if its disk is not mounted. */
  openDisk(instance: SandboxInstance): SandboxDisk;
  /** Stops every process; resolves when all have stopped. Can be repeated. Throws `checkpoint_failed`. */
  freeze(instance: SandboxInstance): Promise<void>;
  /**
   * Lets a frozen sandbox continue. Can be repeated. If it cannot continue, throws `sandbox_resume_failed` if none of
   * its processes has run, and any other error if some may have run before the sandbox ended.
   */
  thaw(instance: SandboxInstance): Promise<void>;
  /**
   * Saves memory and processes of a frozen sandbox into `directory`. That folder is in memory, empty and below a folder that only
   * root may enter, because the saved files may be readable for all. Connections to the outside should be reset before,
   * because a `restore` under another address fails on them. Connections inside that no program has accepted yet may be
   * missing after a restore. The sandbox stays frozen and intact, whether the save succeeds or not. Throws `checkpoint_failed` with the reason as its message.
   */
  checkpoint(instance: SandboxInstance, directory: string): Promise<void>;
  /**
   * Ends the processes of a sandbox but keeps its disk, flushed to the host's disk, in its folder. Also works on
   * leftovers of a sandbox: afterwards only the folder exists. Can be repeated.
   */
  suspend(sandboxId: string, directory: string): Promise<void>;
  /**
   * The file that `suspend` leaves of a sandbox: its disk, an ext4 image with holes. Others may read or write it only
   * while the sandbox is suspended.
   */
  diskPath(sandboxId: string, directory: string): string;
  /** The reading of that disk. Throws `state_damaged` if it is not a disk. */
  readKeptDisk(sandboxId: string, directory: string): Promise<DiskReading>;
  /**
   * Copies the disk of a frozen sandbox to `layer`, a path on the same file system, for use in `layers`. The sandbox
   * stays frozen and keeps its disk. Takes a millisecond for each MiB of data on the disk; the copy shares no blocks
   * with it. May run in parallel with `checkpoint`. After an error, such as `disk_full`, there is no `layer`.
   */
  copyDisk(instance: SandboxInstance, layer: string): Promise<void>;
  /**
   * Moves the disk of a suspended sandbox to `layer`, a path on the same file system, for use in `layers` from now on.
   */
  takeDisk(sandboxId: string, directory: string, layer: string): Promise<void>;
  /**
   * Like `start`, but runs the processes that `checkpoint` saved, of this sandbox or as a copy of another; `disk` and
   * `layers` must contain the files that it had. A new disk has an identity of its own, a kept one keeps its own. After
   * an error nothing is left except a kept disk; `hasRunAgain` says whether that disk is unchanged. If the calling
   * server dies, there is either nothing that runs, or a sandbox that `adopt` finds. Throws `sandbox_resume_failed`.
   */
  restore(spec: SandboxSpec, memory: SavedMemory): Promise<SandboxInstance>;
  /**
   * Whether any process of the restore with this `generation` has run, or may have: then the memory that it came from
   * does not belong to the kept disk any more. Also valid after `suspend`, until the next start or restore on that
   * disk.
   */
  hasRunAgain(sandboxId: string, directory: string, generation: string): Promise<boolean>;
  /**
   * Ends and removes all that is left of a sandbox: processes, mounts, cgroups, devices, and `directory` itself. Can be
   * repeated.
   */
  destroy(sandboxId: string, directory: string): Promise<void>;
  /** Ids that have left traces on this host outside their directory (cgroups, processes), for the cleanup at start. */
  listTraces(): Promise<readonly string[]>;
}
