import type { DiskReading } from '@soulbox/isolation';

/**
 * Maps of block positions (extent trees) use blocks themselves, on the sandbox's ext4 and on the host's. In the worst
 * case each needs one block for 170 blocks, because a map block describes 340 pieces of a file and splits in halves.
 */
const mapsShare = 1 / 64;
/** A disk in use gets this many times the share of an idle one. */
const activeWeight = 8;

/** One disk of a sandbox, in bytes of the host's disk. */
export interface DiskDemand {
  /** Space that it can still take from the host at any limit: it counts as used inside, but is not allocated yet. */
  readonly owedBytes: number;
  /** How much more it may grow now. */
  readonly allowedBytes: number;
  /** How much it must be able to grow whatever others do. */
  readonly promisedBytes: number;
  /** How much it could grow at most. */
  readonly wantedBytes: number;
  readonly isActive: boolean;
}

/** The most that `bytes` of used space or growth can take from the host. */
export function costOf(bytes: number): number {
  return Math.ceil(bytes * (1 + mapsShare));
}

export function usedBytes({ sizeBytes, freeBytes }: DiskReading): number {
  return sizeBytes - freeBytes;
}

/**
 * Holes in the space that counts as used: tables that are written when they are first used, files that reserved their
 * space, and data that is not written out yet. Blocks that an image has beyond the used space do not reduce the result.
 */
export function owedBytes(reading: DiskReading): number {
  const used = usedBytes(reading);
  return Math.max(0, costOf(used) - Math.min(reading.allocatedBytes, used));
}

/** Space that a disk must be able to take. */
export function committedTo({ owedBytes, promisedBytes }: DiskDemand): number {
  return owedBytes + costOf(promisedBytes);
}

export function sumOf<T>(things: readonly T[], bytesOf: (thing: T) => number): number {
  return things.reduce((sum, thing) => sum + bytesOf(thing), 0);
}

/**
 * How much each disk may grow, so that all together take at most `roomBytes` (in addition to what is owed). Promises
 * come first. If there is too little room for all of them, each is reduced in proportion. The rest is shared like water
 * that fills vessels to one level: every disk gets the same amount, and those in use several times as much, up to the
 * amount that they can use at all.
 */
export function shareOut(demands: readonly DiskDemand[], roomBytes: number): number[] {
  const room = Math.max(0, roomBytes) / (1 + mapsShare);
  const promised = sumOf(demands, promiseOf);
  if (promised >= room) return demands.map((demand) => Math.floor((promiseOf(demand) * room) / Math.max(1, promised)));
  const level = levelOf(demands, room - promised);
  return demands.map((demand) => Math.floor(promiseOf(demand) + Math.min(restOf(demand), level * weightOf(demand))));
}

const promiseOf = ({ promisedBytes, wantedBytes }: DiskDemand): number => Math.min(promisedBytes, wantedBytes);
const restOf = (demand: DiskDemand): number => demand.wantedBytes - promiseOf(demand);
const weightOf = ({ isActive }: DiskDemand): number => (isActive ? activeWeight : 1);

/**
 * The level that `bytes` of water reach. Vessels that are full below it leave more to the others. Infinity: all are
 * full.
 */
function levelOf(demands: readonly DiskDemand[], bytes: number): number {
  const byFullAt = demands
    .map((demand) => ({ fullAt: restOf(demand) / weightOf(demand), weight: weightOf(demand), rest: restOf(demand) }))
    .sort((one, other) => one.fullAt - other.fullAt);
  let left = bytes;
  let weight = sumOf(byFullAt, (entry) => entry.weight);
  for (const entry of byFullAt) {
    if (entry.fullAt * weight > left) return left / weight;
    left -= entry.rest;
    weight -= entry.weight;
  }
  return Infinity;
}
