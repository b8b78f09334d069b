import type { DiskReading, SandboxDisk } from '@soulbox/isolation';
import type { DiskDemand } from './shares.ts';
import { owedBytes, usedBytes } from './shares.ts';

/** A disk without writes for this long is idle. */
const activeMs = 3_000;
/** Interval of complete readings, which also check whether the disk is still mounted. */
const checkMs = 1_000;
/** The same while no process of the sandbox runs: then only the kernel can write out what it has cached. */
const readMs = 10_000;
/** The kernel counts changed pages late by less than this: 125 for each processor. */
const uncountedBytes = 64 * 1024 ** 2;
/** A system writes less than this by itself, without work. */
const activeBytes = 64 * 1024;

/** Facts about the sandbox of a disk. They can change while the disk stays the same. */
export interface Standing {
  /** Bytes that it may always write, whatever others do. */
  readonly promisedBytes: number;
  /** Its processes are frozen until there is room, so it can use nothing. */
  readonly isStopped: boolean;
}

/** A disk that the budget watches, with its last readings. */
export interface WatchedDisk {
  readonly sandboxId: string;
  readonly reading: DiskReading;
  /** Bytes that it has grown in the last seconds, inside or on the host. */
  readonly recentBytes: number;
  /** Data that was written inside and is not on the host's disk yet, and files that reserved their space. */
  readonly unwrittenBytes: number;
  /**
   * False once nothing has the disk mounted. `dirtiedBytes` was read just before. `reading` is the same object as before if
   * nothing has changed.
   */
  inspect(nowMs: number, dirtiedBytes: number): boolean;
  /** The part of its promise that it has not used yet. */
  promiseLeft(promisedBytes: number): number;
  demand(standing: Standing, nowMs: number): DiskDemand;
  /** Sets the growth limit. */
  allow(growthBytes: number): void;
  flush(signal: AbortSignal): Promise<void>;
}

/** Undefined when it is not mounted. `dirtiedBytes` was read just before. */
export function watchDisk(
  sandboxId: string,
  disk: SandboxDisk,
  nowMs: number,
  dirtiedBytes: number,
): WatchedDisk | undefined {
  const first = disk.read();
  if (first === undefined) return undefined;
  let reading = first;
  let [checkedAtMs, readAtMs] = [nowMs, nowMs];
  let activeAtMs = -Infinity;
  let recentBytes = 0;
  /** What all programs of the host had changed before the last look. */
  let dirtiedAtLook = dirtiedBytes;
  /** Two readings were the same: probably nothing waits in memory to be written out. */
  let isSettled = false;

  const note = (next: DiskReading, atMs: number): void => {
    const grown = Math.max(usedBytes(next) - usedBytes(reading), next.allocatedBytes - reading.allocatedBytes, 0);
    if (atMs - activeAtMs > activeMs) recentBytes = 0;
    if (grown >= activeBytes) {
      activeAtMs = atMs;
      recentBytes += grown;
    }
    isSettled = next.freeBytes === reading.freeBytes && next.allocatedBytes === reading.allocatedBytes;
    if (!isSettled || next.heldBackBytes !== reading.heldBackBytes) reading = next;
  };

  /**
   * An idle disk that cannot have come near its limit needs no look in between: all programs together have not written so
   * much. What it writes meanwhile it owes, and may grow less by as much, so the sum of all disks, which must fit on the
   * host, is right all the time.
   */
  const isRoomy = (dirtied: number): boolean => {
    const { heldBackBytes, freeBytes } = reading;
    return heldBackBytes === 0 || freeBytes - heldBackBytes >= uncountedBytes + 2 * (dirtied - dirtiedAtLook);
  };

  return {
    sandboxId,
    get reading() {
      return reading;
    },
    get recentBytes() {
      return recentBytes;
    },
    get unwrittenBytes() {
      // Tables have the same size in all disks, and are empty in most.
      return Math.max(0, usedBytes(reading) - reading.tableBytes - reading.allocatedBytes);
    },
    inspect(atMs, dirtied) {
      const isDue = atMs - checkedAtMs >= checkMs;
      const isIdle = atMs - activeAtMs > activeMs;
      if (!isDue && isIdle && isRoomy(dirtied)) return true;
      dirtiedAtLook = dirtied;
      if (isDue) checkedAtMs = atMs;
      // What the kernel writes out meanwhile still counts as owed, which is the safe side.
      if (isIdle && isSettled && atMs - readAtMs < readMs && !disk.hasRun()) return true;
      const now = isDue ? undefined : disk.peek();
      if (now !== undefined) {
        note({ ...reading, ...now }, atMs);
        return true;
      }
      readAtMs = atMs;
      const next = disk.read();
      if (next === undefined) return false;
      note(next, atMs);
      return true;
    },
    promiseLeft(promisedBytes) {
      const written = Math.max(0, usedBytes(reading) - reading.tableBytes);
      return Math.min(reading.freeBytes, Math.max(0, promisedBytes - written));
    },
    demand({ promisedBytes, isStopped }, atMs) {
      const { freeBytes, heldBackBytes } = reading;
      return {
        owedBytes: owedBytes(reading),
        allowedBytes: Math.max(0, freeBytes - heldBackBytes),
        promisedBytes: isStopped ? 0 : this.promiseLeft(promisedBytes),
        wantedBytes: isStopped ? 0 : freeBytes,
        isActive: atMs - activeAtMs <= activeMs,
      };
    },
    allow(growthBytes) {
      disk.allow(growthBytes, reading);
      reading = { ...reading, heldBackBytes: Math.max(0, reading.freeBytes - growthBytes) };
    },
    flush: async (signal) => {
      isSettled = false;
      await disk.flush(signal);
    },
  };
}
