import type { DiskDemand } from './shares.ts';
import { costOf, shareOut, sumOf } from './shares.ts';

const mib = 2 ** 20;
/**
 * This share of the room is not handed out, so that a new sandbox or a foreign file does not change the limits of
 * others.
 */
const floatShare = 0.05;
const floatMaxBytes = 1024 * mib;
/** Smaller raises are skipped, because each change of a limit is a write. */
const leastRaiseBytes = 4 * mib;

export interface LimitedDisk<Disk> {
  readonly disk: Disk;
  readonly demand: DiskDemand;
  /** Its processes are frozen until there is room. */
  readonly isStopped: boolean;
}

export interface LimitChange<Disk> {
  readonly disk: Disk;
  /** How much it may grow from now on. */
  readonly growthBytes: number;
}

/**
 * The growth limits to set, in this order: limits that fall come first, so that at no moment more is allowed than there
 * is. `availableBytes` is what the host has free above its reserve and above room that is held for something new.
 */
export function planLimits<Disk>(all: readonly LimitedDisk<Disk>[], availableBytes: number): LimitChange<Disk>[] {
  const room = availableBytes - sumOf(all, ({ demand }) => demand.owedBytes);
  const float = Math.min(Math.max(0, room) * floatShare, floatMaxBytes);
  // Room beyond all promises goes to frozen sandboxes first.
  const isScarce = all.some(({ isStopped }) => isStopped);
  const growths = shareOut(
    all.map(({ demand }) => (isScarce ? { ...demand, wantedBytes: demand.promisedBytes } : demand)),
    room - float,
  );
  const moves = all.map(({ disk, demand }, index) => ({ disk, demand, growthBytes: growths[index] ?? 0 }));
  const taken = sumOf(all, ({ demand }) => costOf(demand.allowedBytes));
  if (taken <= room - float / 4 && !moves.some(isStarving)) return [];
  const lowered = moves.filter(({ demand, growthBytes }) => growthBytes < demand.allowedBytes);
  return [...lowered, ...moves.filter(isWorthRaising)].map(({ disk, growthBytes }) => ({ disk, growthBytes }));
}

interface Move {
  readonly demand: DiskDemand;
  readonly growthBytes: number;
}

/** It could grow more than twice as much as it may now. */
function isStarving({ demand: { allowedBytes }, growthBytes }: Move): boolean {
  return growthBytes - allowedBytes > Math.max(leastRaiseBytes, allowedBytes);
}

/** A large raise, or the last one: it gives the disk everything that it can use. */
function isWorthRaising({ demand: { allowedBytes, wantedBytes }, growthBytes }: Move): boolean {
  const raiseBytes = growthBytes - allowedBytes;
  return raiseBytes > Math.max(leastRaiseBytes, allowedBytes / 8) || (raiseBytes > 0 && growthBytes >= wantedBytes);
}
