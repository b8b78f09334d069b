import type { FuseLock, FuseLockOwner } from '../fuse-fs.ts';

export interface HeldLock extends FuseLock {
  readonly owner: FuseLockOwner;
}

type LockRange = Pick<FuseLock, 'start' | 'end'>;

/** Whether two locks have a byte in common. */
export const locksOverlap = (one: LockRange, other: LockRange): boolean =>
  one.start <= other.end && other.start <= one.end;

/** The first lock of another owner that prevents this one. */
export function findConflict(held: readonly HeldLock[], wanted: HeldLock): HeldLock | undefined {
  if (wanted.type === 'none') return undefined;
  return held.find(
    (lock) =>
      lock.owner !== wanted.owner && locksOverlap(lock, wanted) && (lock.type === 'write' || wanted.type === 'write'),
  );
}

/**
 * The locks after `wanted` was granted, or with the type `none` released: it replaces what its owner has in the range.
 * Locks of one owner and type that touch become one. `isOwn`: whether a lock has that owner.
 */
export function replaceLocks<L extends FuseLock>(
  held: readonly L[],
  wanted: L,
  isOwn: (lock: L) => boolean,
): (L & { readonly type: 'read' | 'write' })[] {
  const result: L[] = [];
  let { start, end } = wanted;
  for (const lock of held) {
    if (!isOwn(lock)) {
      result.push(lock);
    } else if (lock.type === wanted.type && lock.start <= end + 1 && start <= lock.end + 1) {
      start = Math.min(start, lock.start);
      end = Math.max(end, lock.end);
    } else {
      // What stands on both sides of it stays.
      if (!locksOverlap(lock, wanted) || lock.start < wanted.start) {
        result.push(locksOverlap(lock, wanted) ? { ...lock, end: wanted.start - 1 } : lock);
      }
      if (locksOverlap(lock, wanted) && lock.end > wanted.end) result.push({ ...lock, start: wanted.end + 1 });
    }
  }
  if (wanted.type !== 'none') result.push({ ...wanted, start, end });
  return result as (L & { readonly type: 'read' | 'write' })[];
}
