import type { DiskReading } from '@soulbox/isolation';

/**
 * Maps of where blocks lie take blocks themselves, the sandbox's and the host's: at the worst one for each 170 in both, since a
 * block of either ext4 describes 340 pieces of a file and splits in halves.
 */
const mapsShare = 1 / 64;
/** Of two disks of which only one is written to, that one gets so many times the other's share. */
const activeWeight = 8;

/** One disk of a sandbox, in bytes of the host's disk. */
export interface DiskDemand {
  /** What it can still take of the host whatever is allowed: counted as used inside, and not there yet. */
  readonly owedBytes: number;
  /** How much more it may grow now. */
  readonly allowedBytes: number;
  /** How much it must be able to grow whatever others do. */
  readonly promisedBytes: number;
  /** How much it could grow at most. */
  readonly wantedBytes: number;
  readonly isActive: boolean;
}

/** What a disk that is used so far, or may grow so far, can take of the host. */
export function costOf(bytes: number): number {
  return Math.ceil(bytes * (1 + mapsShare));
}

export function usedBytes({ sizeBytes, freeBytes }: DiskReading): number {
  return sizeBytes - freeBytes;
}

/**
 * Holes in what counts as used: tables that are written as they are used, files that reserved their space, and what is not written
 * out yet. An image that has more than that counts as having no more: the rest is not in its way.
 */
export function owedBytes(reading: DiskReading): number {
  const used = usedBytes(reading);
  return Math.max(0, costOf(used) - Math.min(reading.allocatedBytes, used));
}

/** What a disk must be able to take. */
export function committedTo({ owedBytes, promisedBytes }: DiskDemand): number {
  return owedBytes + costOf(promisedBytes);
}

export function sumOf<T>(things: readonly T[], bytesOf: (thing: T) => number): number {
  return things.reduce((sum, thing) => sum + bytesOf(thing), 0);
}

/**
 * How much each disk may grow, so that all together take no more than `roomBytes` (besides what is owed). First everyone's promise;
 * where not even that is there, everyone's in proportion. The rest is shared like water: everyone gets the same more, and those
 * that are written to several times as much, up to what they could use at all.
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

/** The level that `bytes` of water reach: those that are full below it leave more to the others. Infinity when all are full. */
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
