import type { FuseLock } from '@soulbox/fuse';
import { noEnd } from '@soulbox/fuse';
import type { HeldLock } from '../metadata/metadata.ts';

export const overlap = (one: Pick<HeldLock, 'start' | 'end'>, other: Pick<HeldLock, 'start' | 'end'>): boolean =>
  one.start <= other.end && other.start <= one.end;

/** The locks of one owner on one file after it has set, or with the type `none` released, a range. */
export function withRange(
  held: readonly HeldLock[],
  who: Omit<HeldLock, 'type' | 'start' | 'end'>,
  lock: FuseLock,
): HeldLock[] {
  const { type, start, end } = lock;
  const rest = held.flatMap((old) => {
    if (!overlap(old, lock)) return [old];
    return [
      ...(old.start < start ? [{ ...old, end: start - 1 }] : []),
      ...(old.end > end ? [{ ...old, start: end + 1 }] : []),
    ];
  });
  if (type === 'none') return rest;
  return merged([...rest, { ...who, type, start, end }]);
}

/** Ranges of one type that touch become one. */
function merged(locks: readonly HeldLock[]): HeldLock[] {
  const result: HeldLock[] = [];
  for (const lock of locks.toSorted((one, other) => one.start - other.start)) {
    const last = result.at(-1);
    const touches = last?.type === lock.type && (last.end === noEnd || last.end + 1 >= lock.start);
    if (last !== undefined && touches) result[result.length - 1] = { ...last, end: Math.max(last.end, lock.end) };
    else result.push(lock);
  }
  return result;
}
