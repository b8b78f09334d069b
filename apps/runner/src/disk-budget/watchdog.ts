import type { DiskState } from './budget.ts';
import type { WatchedDisk } from './watched-disk.ts';

const mib = 2 ** 20;
/** A sandbox writes less than this in some seconds by itself, without work. */
const writerBytes = 4 * mib;
/** If more than this is in memory, it is written out while there is room for it. */
const flushBytes = mib;
/** Sandboxes that are frozen in one round, worst first. A freeze takes some milliseconds, and a few may be enough. */
const stopsAtOnce = 4;
/** Room must last this long before a sandbox is thawed, because the program that fills the disk may continue. */
const thawAfterMs = 1_000;

/** What to do on a host whose disk was filled by something other than sandboxes. */
export interface WatchdogOrders {
  readonly stop: readonly string[];
  readonly thaw: readonly string[];
  /** Disks whose data in the kernel's memory is to be written out. */
  readonly flush: readonly WatchedDisk[];
}

const none: WatchdogOrders = { stop: [], thaw: [], flush: [] };

/**
 * Sandboxes alone never cause this, because they get no more than there is. When promises cannot be kept, the sandboxes
 * that write are frozen, the worst first. They are thawed one by one when there is room again.
 */
export function judge({ roomBytes, roomForMs, disks }: DiskState): WatchdogOrders {
  if (roomBytes < 0) {
    const writers = disks.filter(({ isStopped, disk }) => !isStopped && disk.recentBytes > writerBytes);
    const worstFirst = writers.map(({ disk }) => disk).sort((one, other) => badness(other) - badness(one));
    return {
      stop: worstFirst.slice(0, stopsAtOnce).map(({ sandboxId }) => sandboxId),
      thaw: [],
      flush: disks.map(({ disk }) => disk).filter((disk) => disk.unwrittenBytes > flushBytes),
    };
  }
  const [next] = disks.filter(({ isStopped }) => isStopped);
  if (next === undefined || roomForMs < thawAfterMs || roomBytes < next.leftBytes) return none;
  return { ...none, thaw: [next.disk.sandboxId] };
}

function badness(disk: WatchedDisk): number {
  return disk.recentBytes + disk.unwrittenBytes;
}
