import type { FuseLock, FuseLockOwner } from '../fuse-fs.ts';

export interface HeldLock extends FuseLock {
  readonly owner: FuseLockOwner;
}

const overlaps = (one: FuseLock, other: FuseLock): boolean => one.start <= other.end && other.start <= one.end;

/** The first lock of another owner that prevents this one. */
export function findConflict(held: readonly HeldLock[], wanted: HeldLock): HeldLock | undefined {
  if (wanted.type === 'none') return undefined;
  return held.find(
    (lock) =>
      lock.owner !== wanted.owner && overlaps(lock, wanted) && (lock.type === 'write' || wanted.type === 'write'),
  );
}

/** The locks after `wanted` was granted: it replaces what its owner has in the range. */
export function replaceRange(held: readonly HeldLock[], wanted: HeldLock): HeldLock[] {
  const result: HeldLock[] = [];
  let { start, end } = wanted;
  for (const lock of held) {
    if (lock.owner !== wanted.owner) {
      result.push(lock);
    } else if (lock.type === wanted.type && lock.start <= end + 1 && start <= lock.end + 1) {
      start = Math.min(start, lock.start);
      end = Math.max(end, lock.end);
    } else {
      // What stands on both sides of it stays.
      if (!overlaps(lock, wanted) || lock.start < wanted.start) {
        result.push(overlaps(lock, wanted) ? { ...lock, end: wanted.start - 1 } : lock);
      }
      if (overlaps(lock, wanted) && lock.end > wanted.end) result.push({ ...lock, start: wanted.end + 1 });
    }
  }
  if (wanted.type !== 'none') result.push({ ...wanted, start, end });
  return result;
}
