import type { Clock, Logger } from '@soulbox/base';
import type { SandboxDisk } from '@soulbox/isolation';
import { checkRoom } from './check-room.ts';
import { planLimits } from './plan-limits.ts';
import type { DiskPolicy } from './policy.ts';
import { readHostDisk } from './read-host-disk.ts';
import type { HostDisk } from './read-host-disk.ts';
import type { DiskDemand } from './shares.ts';
import { committedTo, costOf, sumOf } from './shares.ts';
import type { Standing, WatchedDisk } from './watched-disk.ts';
import { watchDisk } from './watched-disk.ts';

/** If nothing changes, the room is distributed again after this time: sandboxes become idle, or get a tenant. */
const shareAgainMs = 1_000;
/** And at once if the free space of the host has fallen by this much. */
const fallenBytes = 16 * 2 ** 20;

export interface DiskFigures {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly reserveBytes: number;
  /** Space that the host must still be able to provide: to running sandboxes, and to saves and starts in progress. */
  readonly committedBytes: number;
  /** Sizes of the disks of all running sandboxes, as seen inside. */
  readonly toldBytes: number;
  readonly disks: number;
  readonly stopped: number;
}

export interface DiskStanding {
  readonly disk: WatchedDisk;
  readonly isStopped: boolean;
  /** Room that it needs when it is thawed. */
  readonly leftBytes: number;
}

/** The facts from which the watchdog decides. */
export interface DiskState {
  /** Room that is left after all that is promised and owed to sandboxes. Negative: the promises cannot be kept. */
  readonly roomBytes: number;
  /** Time since it was last negative. */
  readonly roomForMs: number;
  /** Empty if there is room and nothing has changed since an inspection less than a second ago. */
  readonly disks: readonly DiskStanding[];
}

export interface DiskBudgetOptions {
  readonly policy: DiskPolicy;
  /** A folder on the file system of all disks. */
  readonly directory: string;
  /** Called every time, because the standing changes when a sandbox gets a tenant. */
  readonly standingOf: (sandboxId: string) => Standing;
  /** What all programs of the host have written so far, see read-dirtied.ts. */
  readonly readDirtied: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Keeps this invariant: the space that all sandboxes' disks can still take from the host (allowed growth, and
 * everything that counts as written) is at most the host's free space above its reserve. The kernel enforces the
 * limits, so the invariant holds without a server.
 */
export interface DiskBudget {
  /**
   * Reserves room for something new until disposed. Throws `disk_full` with nothing changed. `what` begins its message.
   */
  admit(bytes: number, what: string): Disposable;
  /** Watches the disk from now on until nothing has it mounted. */
  watch(sandboxId: string, open: () => SandboxDisk): void;
  /** Distributes the room at once. Called when a sandbox has just got a tenant. */
  settle(): void;
  /** Gives a frozen sandbox its promise before it is thawed. */
  release(sandboxId: string): void;
  /** Reads all disks that may have changed and distributes the room again. Called several times a second. */
  inspect(): DiskState;
  figures(): DiskFigures;
}

export function createDiskBudget(options: DiskBudgetOptions): DiskBudget {
  const { policy, directory, readDirtied, clock, logger } = options;
  const disks = new Map<string, WatchedDisk>();
  const holds = new Set<number[]>();
  let shortAtMs = -Infinity;
  /** The last distribution. */
  let shared = { atMs: -Infinity, freeBytes: 0, committedBytes: 0 };
  /** Something that the distribution depends on has changed since. */
  let isOutdated = true;

  const readHost = (): HostDisk => readHostDisk(directory, policy);
  const demandOf = (disk: WatchedDisk): DiskDemand => disk.demand(options.standingOf(disk.sandboxId), clock.now());
  const isStopped = ({ sandboxId }: WatchedDisk): boolean => options.standingOf(sandboxId).isStopped;
  const standing = (disk: WatchedDisk): DiskStanding => {
    const { promisedBytes } = options.standingOf(disk.sandboxId);
    return { disk, isStopped: isStopped(disk), leftBytes: costOf(disk.promiseLeft(promisedBytes)) };
  };
  const heldBytes = (): number => sumOf([...holds], ([bytes = 0]) => bytes);
  const committedBytes = (): number => sumOf([...disks.values()], (disk) => committedTo(demandOf(disk)));

  const share = (freeBytes: number, reserveBytes: number): void => {
    const all = [...disks.values()].map((disk) => ({
      disk,
      demand: demandOf(disk),
      isStopped: isStopped(disk),
    }));
    for (const { disk, growthBytes } of planLimits(all, freeBytes - reserveBytes - heldBytes()))
      tryAllow(disk, growthBytes);
  };

  const tryAllow = (disk: WatchedDisk, growthBytes: number): void => {
    try {
      disk.allow(growthBytes);
    } catch (err) {
      // It has just been unmounted. The next inspection notices that.
      logger.debug({ sandboxId: disk.sandboxId, err }, 'growth limit of a disk could not be set');
    }
  };

  /**
   * Gives the reading of the host with less free space. Data that is written or freed between the two readings then
   * counts as used on the disk and on the host, which is the safe side.
   */
  const inspectAll = (): HostDisk => {
    const before = readHost();
    const [now, dirtied] = [clock.now(), readDirtied()];
    for (const disk of disks.values()) {
      const { reading } = disk;
      const isMounted = disk.inspect(now, dirtied);
      if (!isMounted) disks.delete(disk.sandboxId);
      if (!isMounted || disk.reading !== reading) isOutdated = true;
    }
    const after = readHost();
    return before.freeBytes < after.freeBytes ? before : after;
  };

  return {
    admit(bytes, what) {
      const { freeBytes, reserveBytes } = inspectAll();
      checkRoom(what, bytes, freeBytes - reserveBytes - committedBytes() - heldBytes());
      const hold = [bytes];
      holds.add(hold);
      share(freeBytes, reserveBytes);
      isOutdated = true;
      return {
        [Symbol.dispose]() {
          holds.delete(hold);
          isOutdated = true;
        },
      };
    },
    watch(sandboxId, open) {
      try {
        const watched = watchDisk(sandboxId, open(), clock.now(), readDirtied());
        if (watched !== undefined) disks.set(sandboxId, watched);
        isOutdated = true;
      } catch (err) {
        // It has died already. It keeps the limit of its start.
        logger.warn({ sandboxId, err }, 'disk of a sandbox not found');
      }
    },
    settle() {
      const { freeBytes, reserveBytes } = inspectAll();
      share(freeBytes, reserveBytes);
      isOutdated = true;
    },
    release(sandboxId) {
      const disk = disks.get(sandboxId);
      if (disk?.inspect(clock.now(), readDirtied()) !== true) return;
      isOutdated = true;
      tryAllow(disk, disk.promiseLeft(options.standingOf(sandboxId).promisedBytes));
    },
    inspect() {
      const now = clock.now();
      const { freeBytes, reserveBytes } = inspectAll();
      const room = (): number => freeBytes - reserveBytes - shared.committedBytes;
      const isQuiet = !isOutdated && Math.abs(now - shared.atMs) < shareAgainMs;
      if (isQuiet && shared.freeBytes - freeBytes < fallenBytes && room() >= 0)
        return { roomBytes: room(), roomForMs: now - shortAtMs, disks: [] };
      isOutdated = false;
      share(freeBytes, reserveBytes);
      shared = { atMs: now, freeBytes, committedBytes: committedBytes() };
      if (room() < 0) shortAtMs = now;
      return { roomBytes: room(), roomForMs: now - shortAtMs, disks: [...disks.values()].map(standing) };
    },
    figures() {
      const { freeBytes, totalBytes, reserveBytes } = readHost();
      const all = [...disks.values()];
      return {
        ...{ totalBytes, freeBytes, reserveBytes },
        committedBytes: committedBytes() + heldBytes(),
        toldBytes: sumOf(all, ({ reading }) => reading.sizeBytes - reading.tableBytes),
        disks: all.length,
        stopped: all.filter(isStopped).length,
      };
    },
  };
}
