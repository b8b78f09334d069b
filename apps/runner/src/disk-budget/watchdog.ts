import type { DiskState } from './budget.ts';
import type { WatchedDisk } from './watched-disk.ts';

const mib = 2 ** 20;
/** Less in some seconds a sandbox writes by itself. */
const writerBytes = 4 * mib;
/** More than that in memory is written out while there is room for it. */
const flushBytes = mib;
/** Sandboxes that are stopped in one round, worst first: a freeze takes some milliseconds, and few may be enough. */
const stopsAtOnce = 4;
/** Room must have been there for so long before a sandbox goes on: whoever fills a disk may go on doing so. */
const thawAfterMs = 1_000;

/** What is to be done about a host whose disk somebody else has filled. */
export interface WatchdogOrders {
  readonly stop: readonly string[];
  readonly thaw: readonly string[];
  /** What the kernel holds of these in memory is to be written out. */
  readonly flush: readonly WatchedDisk[];
}

const none: WatchdogOrders = { stop: [], thaw: [], flush: [] };

/**
 * Sandboxes alone never come to this: they are given no more than there is. When the promises made to them cannot be kept any more,
 * those that write stop where they stand, the worst first, and go on one by one when there is room again.
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
