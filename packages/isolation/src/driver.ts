import type { Secret } from '@soulbox/base';

/** What a sandbox may use. Every limit is enforced by the kernel, not by envd. */
export interface SandboxLimits {
  /** CPUs' worth of time, up to 64; a fraction where all sandboxes together may not use that much. */
  readonly cpus: number;
  /** MiB of memory, page cache included. */
  readonly memoryMb: number;
  /** MiB of the writable layer. */
  readonly diskMb: number;
  /** Processes and threads together. */
  readonly maxProcesses: number;
}

/** The read-only folder with envd that every sandbox shares, see apps/envd/build. */
export interface EnvdBundle {
  /** Host folder, mounted read-only at `mountPoint` in every sandbox. */
  readonly directory: string;
  /** Where it stands inside, for instance `/.soulbox`. */
  readonly mountPoint: string;
  /** Argument array that starts envd, with paths as seen inside. */
  readonly command: readonly string[];
  /** Variables of envd itself, `NAME=value`; it does not pass them on. */
  readonly environment: readonly string[];
  /** Further ones for a driver with `ownKernel`: envd does what such a kernel does not. */
  readonly forOwnKernel: readonly string[];
}

/** Everything a driver needs to make one sandbox. Paths are the host's; none comes from a tenant. */
export interface SandboxSpec {
  readonly sandboxId: string;
  /** A folder of this sandbox's own, existing and empty. The driver keeps all it makes in it. */
  readonly directory: string;
  /** Root of the template, owners 0-based, shared by all sandboxes and never written. */
  readonly rootfs: string;
  /** Frozen disks of earlier sandboxes that lie between the template and this one's own, topmost first. Never written. */
  readonly layers: readonly string[];
  /** `new`: a disk is made. `kept`: the one that `suspend` left in `directory` is used again. */
  readonly disk: 'new' | 'kept';
  /**
   * What the disk may take more of its host than it has when it is mounted; holds before anything in the sandbox runs, and until
   * `SandboxDisk.allow` says otherwise.
   */
  readonly diskGrowthBytes: number;
  /** Differs for each copy of a sandbox and changes when memory of the past comes back; in /run/soulbox/generation. */
  readonly generation: string;
  readonly runtime: EnvdBundle;
  /** First host uid and gid of a range of 65536 that no other sandbox has. */
  readonly idBase: number;
  readonly limits: SandboxLimits;
  readonly hostname: string;
  /** Written into the sandbox's resolv.conf. Empty: no name server. */
  readonly nameServers: readonly string[];
  /** envd demands it on host-only calls. Readable by the sandbox's root only. */
  readonly hostToken: Secret;
  /**
   * Called once when the network namespace exists, before envd or anything that is restored runs: when it rejects, nothing
   * does, and the start or restore throws what it threw. `networkNamespace` is a path that can be opened, such as
   * `/proc/PID/ns/net`.
   */
  readonly attachNetwork: (networkNamespace: string) => Promise<void>;
}

/** A sandbox whose envd process exists. */
export interface SandboxInstance {
  readonly sandboxId: string;
  readonly directory: string;
  /** Path of its network namespace, through which the host reaches its ports. */
  readonly networkNamespace: string;
  /** Host pid of the sandbox's init. Never signal it without `isAlive`: pids are used again. */
  readonly initPid: number;
  /** When init began, in clock ticks since boot (proc_pid_stat(5), field 22): tells it from a later owner of its pid. */
  readonly initStartTicks: number;
}

/** One reading of what a sandbox has used. Counters count since it began. */
export interface ResourceSample {
  readonly cpuUsedSeconds: number;
  readonly memoryRssBytes: number;
  readonly memoryCacheBytes: number;
  readonly memorySwapBytes: number;
  /** Usage less the inactive file cache: what cannot be taken back without harm. */
  readonly memoryWorkingSetBytes: number;
  readonly memoryLimitBytes: number;
  readonly diskUsedBytes: number;
  readonly diskTotalBytes: number;
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
}

/** How a sandbox's disk, a sparse image, stands to the disk of the host. */
export interface DiskReading {
  /** Of the image, its file system's own tables included. */
  readonly sizeBytes: number;
  /** Of its file system: all but this may have to be on the host's disk. */
  readonly freeBytes: number;
  /** Its inode tables, which count as used and are written as they are used. */
  readonly tableBytes: number;
  /** What of the free part may not be used for now. */
  readonly heldBackBytes: number;
  /** What the image takes on the host's disk. */
  readonly allocatedBytes: number;
}

/** The disk of a sandbox that runs, as the host's side sees it. Reads and writes are synchronous, and none of them waits. */
export interface SandboxDisk {
  /** What changes from one moment to the next, in some microseconds; undefined when that cannot be seen just now. */
  peek(): Pick<DiskReading, 'freeBytes' | 'allocatedBytes'> | undefined;
  /**
   * Undefined once nothing has the disk mounted any more. Of one whose processes have just ended it gives what it gave before, until
   * all that they left unwritten is written.
   */
  read(): DiskReading | undefined;
  /** Lets the file system grow by so much more than `reading` says, and by no more, whoever in it writes. */
  allow(growthBytes: number, reading: DiskReading): void;
  /** Writes out what the kernel still holds of it. */
  flush(signal: AbortSignal): Promise<void>;
}

/** What a driver can do beyond the core of the interface. A test of a missing capability is skipped with this as its reason. */
export interface DriverCapabilities {
  /** Programs inside talk to a kernel of the sandbox's own, of which the host's sees one filtered process. */
  readonly ownKernel: boolean;
  /** setuid programs such as sudo work inside. */
  readonly setuid: boolean;
  /** Running out of memory ends one process, not the sandbox. */
  readonly survivesOutOfMemory: boolean;
  /** What is in /dev/shm lies on the disk. Else it is memory: half of the sandbox's at most, and a full one is an error. */
  readonly sharedMemoryOnDisk: boolean;
  /** A user cannot read the environment of another user's processes. */
  readonly hidesEnvironments: boolean;
  /** Files keep attributes of users (user.*, xattr(7)): envd keeps their metadata there. */
  readonly fileAttributes: boolean;
  /** Memory and processes can be saved and brought back. */
  readonly checkpoint: boolean;
  /** Files that were deleted while a program has them open can be saved; otherwise the checkpoint is refused. */
  readonly deletedFiles: boolean;
  /** What leads the session of a terminal can open /dev/tty anew after a restore; what it had open it keeps in any case. */
  readonly restoredTerminal: boolean;
  /** A restore answers before all memory is read; the rest follows as it is touched. */
  readonly lazyRestore: boolean;
}

/** A saved memory to restore from. */
export interface SavedMemory {
  /** The folder that `checkpoint` filled. Never written; its content is verified already, except the lazy parts. */
  readonly directory: string;
  /**
   * Of the large parts that nobody has verified yet: the driver does, block by block, before it uses them, and may answer
   * before it has read them all. The folder must stay until the sandbox is suspended or destroyed then, or has been saved
   * again. None of them: all parts are read before the restore answers. Some are given only to drivers with `lazyRestore`.
   */
  readonly digests: BlockDigests;
}

/** Digests of large parts of a saved memory, block by block. */
export interface BlockDigests {
  readonly blockBytes: number;
  /** SHA-256 of each block, in order, by file name. The last block may be shorter. */
  readonly parts: Readonly<Record<string, readonly string[]>>;
}

/** One thing a driver found about the host. */
export interface DriverFinding {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/**
 * A way to wall a sandbox off. Drivers hold no state of their own: all is in `spec.directory` and the kernel, so that a
 * new process can adopt what an old one left. The suite in `conformance/` says in tests what each must keep.
 */
export interface Driver {
  readonly name: string;
  readonly capabilities: DriverCapabilities;
  /**
   * CPU use below this counts as none, in CPUs: an envd with nothing to do takes some, and so does whatever the driver adds to a
   * sandbox.
   */
  readonly idleCpus: number;
  /**
   * Program and version that save and restore here, for instance `criu 4.2.1` or `runsc release-20260101.0`; found once.
   * Empty where nothing saves memory or the program does not tell.
   */
  readVersion(): Promise<string>;
  /**
   * Whether a file of this name among those that `checkpoint` writes holds memory: such files are large, written from first to
   * last, and never changed. `restore` may verify them itself, see `SavedMemory.digests`.
   */
  isMemoryPart(name: string): boolean;
  /** Removes what tools of a killed server left on the host outside all sandboxes. Once, before the first start. Never throws. */
  prepareHost(): Promise<void>;
  /** Checks what this driver needs of the host; a trial may run `runtime`. Changes nothing. */
  probe(runtime: EnvdBundle): Promise<readonly DriverFinding[]>;
  /**
   * Makes and starts a sandbox; resolves when envd's process runs (not yet answers). A kept disk gets a new identity and an
   * empty /dev/shm. On an error nothing is left but that disk.
   */
  start(spec: SandboxSpec): Promise<SandboxInstance>;
  /**
   * Finds a sandbox that an earlier process started; undefined when it does not run any more. Waits for a start or restore that the
   * earlier process began and that goes on without it.
   */
  adopt(sandboxId: string, directory: string): Promise<SandboxInstance | undefined>;
  /** Whether the very process still runs. Cheap and synchronous; called every second for each sandbox. */
  isAlive(instance: SandboxInstance): boolean;
  /**
   * Why a sandbox that is not alive any more did not end by itself: a part of its memory that came late was `damaged`, or could
   * not be given because its reader was `interrupted`, or it was `out_of_memory` where that ends all of it. Undefined when it
   * ended in another way.
   */
  whyEnded(sandboxId: string, directory: string): Promise<'damaged' | 'interrupted' | 'out_of_memory' | undefined>;
  sample(instance: SandboxInstance): Promise<ResourceSample>;
  /** Throws `sandbox_not_found` when its disk is not mounted. */
  openDisk(instance: SandboxInstance): SandboxDisk;
  /** Stops every process where it stands; resolves when all have stopped. Safe to repeat. Throws `checkpoint_failed`. */
  freeze(instance: SandboxInstance): Promise<void>;
  /**
   * Lets a frozen sandbox go on. Safe to repeat. Throws `sandbox_resume_failed` when it does not and nothing of it has run, and
   * anything else when it does not and may have run before it ended.
   */
  thaw(instance: SandboxInstance): Promise<void>;
  /**
   * Saves memory and processes of a frozen sandbox into `directory`, which is empty and in a folder that only root may enter:
   * what is saved may be readable for all. Connections to the outside should be reset before, `restore` under another address
   * fails on them. The sandbox stays frozen and whole,
   * whether it succeeds or not. Throws `checkpoint_failed` with what stood in the way as its message.
   */
  checkpoint(instance: SandboxInstance, directory: string): Promise<void>;
  /**
   * Ends the processes of a sandbox but keeps its disk, written out to the host's disk, in its folder. Works on what is
   * left of one, too: after it only the folder exists. Safe to repeat.
   */
  suspend(sandboxId: string, directory: string): Promise<void>;
  /**
   * The file that `suspend` leaves of a sandbox: its disk, an ext4 image with holes. Nobody may read or write it but while the
   * sandbox is suspended.
   */
  diskPath(sandboxId: string, directory: string): string;
  /** How that disk stands to the host's. Throws `state_damaged` when it is none. */
  readKeptDisk(sandboxId: string, directory: string): Promise<DiskReading>;
  /**
   * Copies the disk of a frozen sandbox to `layer`, a path on the same file system, to be used in `layers`. The sandbox stays
   * frozen and keeps its disk. Takes a millisecond for each MiB that the disk holds, unless the host's file system can share
   * blocks. May run beside `checkpoint`. On an error, such as `disk_full`, there is no `layer`.
   */
  copyDisk(instance: SandboxInstance, layer: string): Promise<void>;
  /** Moves the disk of a suspended sandbox to `layer`, a path on the same file system, to be used in `layers` from now on. */
  takeDisk(sandboxId: string, directory: string, layer: string): Promise<void>;
  /**
   * Like `start`, but what runs is what `checkpoint` saved, of this sandbox or as a copy of another; `disk` and `layers` must
   * bring the files it had. A new disk has an identity of its own, a kept one keeps its own. On an error nothing is
   * left but, with a kept disk, that disk; `hasRunAgain` tells whether it is still as it was. Whoever calls this and dies leaves either
   * nothing that runs, or something that `adopt` finds. Throws `sandbox_resume_failed`.
   */
  restore(spec: SandboxSpec, memory: SavedMemory): Promise<SandboxInstance>;
  /**
   * Whether anything of the restore with this `generation` has run, or may have: then the memory that it came from does not belong
   * to the kept disk any more. Also after `suspend`, until the next start or restore on that disk.
   */
  hasRunAgain(sandboxId: string, directory: string, generation: string): Promise<boolean>;
  /** Ends whatever is left of a sandbox: processes, mounts, cgroups, devices, and `directory` itself. Safe to repeat. */
  destroy(sandboxId: string, directory: string): Promise<void>;
  /** Ids that have left anything on this host outside their directory (cgroups, processes), for the sweep at start. */
  listTraces(): Promise<readonly string[]>;
}
