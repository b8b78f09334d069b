import type { Shelf, Spare } from './shelf.ts';

/** Limits for the number of spares, their memory and concurrent boots. */
export interface PoolLimits {
  /** Spares of a pinned blueprint. */
  readonly size: number;
  /** Memory that all spares of unpinned blueprints may take together. */
  readonly memoryLimitBytes: number;
}

/** A boot to start now, and the spares of other shelves that make room for it. */
export interface NextBoot {
  readonly shelf: Shelf;
  readonly insteadOf: readonly Spare[];
}

/** Chooses the next boot. Boots for waiting creates come before refills. Changes nothing. */
export function chooseBoot(shelves: readonly Shelf[], limits: PoolLimits, nowMs: number): NextBoot | undefined {
  const waitedFor = shelves.find((shelf) => shelf.waiters.length > shelf.booting);
  if (waitedFor !== undefined) return { shelf: waitedFor, insteadOf: [] };
  for (const shelf of shelves) {
    if (!lacksSpare(shelf, limits, nowMs)) continue;
    const insteadOf = findRoom(shelves, shelf, limits.memoryLimitBytes);
    if (insteadOf !== undefined) return { shelf, insteadOf };
  }
  return undefined;
}

/** How many spares a shelf should hold now. */
export function wantedOn(shelf: Shelf, { size }: Pick<PoolLimits, 'size'>, nowMs: number): number {
  return shelf.isPinned ? size : shelf.demand.wanted(nowMs);
}

function lacksSpare(shelf: Shelf, limits: PoolLimits, nowMs: number): boolean {
  if (shelf.pauses > 0) return false;
  return wantedOn(shelf, limits, nowMs) - shelf.spares.length + shelf.waiters.length > shelf.booting;
}

/**
 * The spares that must be removed so that one more spare of `shelf` fits into the limit. Undefined when there is no
 * room for it. Spares of pinned shelves are not counted. A shelf gives up its spares only to a shelf that was used
 * later, the oldest use first.
 */
export function findRoom(shelves: readonly Shelf[], shelf: Shelf, limitBytes: number): readonly Spare[] | undefined {
  if (shelf.isPinned) return [];
  const others = shelves.filter(({ isPinned }) => !isPinned);
  const largest = Math.max(...others.map(({ spareBytes }) => spareBytes));
  const sizeOf = (one: Shelf): number => (one.spareBytes === 0 ? largest : one.spareBytes);
  const comingTo = ({ booting, waiters }: Shelf): number => Math.max(0, booting - waiters.length);
  // The first spare of a shelf shows how large its spares are.
  if (shelf.spareBytes === 0 && comingTo(shelf) > 0) return undefined;
  let taken = others.reduce((sum, one) => sum + bytesOn(one) + comingTo(one) * sizeOf(one), 0);
  const fits = (): boolean => taken + sizeOf(shelf) <= limitBytes && taken < limitBytes;
  const given = others
    .filter((one) => one !== shelf && one.usedAtMs < shelf.usedAtMs)
    .toSorted((one, other) => one.usedAtMs - other.usedAtMs)
    .flatMap(({ spares }) => spares)
    .values();
  const insteadOf: Spare[] = [];
  while (!fits()) {
    const { value } = given.next();
    if (value === undefined) return undefined;
    insteadOf.push(value);
    taken -= value.bytes;
  }
  return insteadOf;
}

function bytesOn({ spares }: Shelf): number {
  return spares.reduce((sum, { bytes }) => sum + bytes, 0);
}
