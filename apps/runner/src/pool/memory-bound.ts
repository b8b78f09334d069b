import type { Shelf } from './shelf.ts';

/**
 * Whether one more spare of `shelf` keeps within what all spares may take together, those of pinned shelves not counted. Where they do not,
 * it names the shelf that gives one away for it: the one not used for longest, if that is longer than `shelf`.
 */
export function findRoom(
  shelves: Iterable<Shelf>,
  shelf: Shelf,
  limitBytes: number,
): 'free' | 'none' | { readonly insteadOf: Shelf } {
  if (shelf.isPinned) return 'free';
  const others = [...shelves].filter(({ isPinned }) => !isPinned);
  const largest = Math.max(...others.map(({ spareBytes }) => spareBytes));
  const sizeOf = (one: Shelf): number => (one.spareBytes === 0 ? largest : one.spareBytes);
  const comingTo = ({ booting, waiters }: Shelf): number => Math.max(0, booting - waiters.length);
  // The first spare of a shelf tells how large they are.
  if (shelf.spareBytes === 0 && comingTo(shelf) > 0) return 'none';
  const taken = others.reduce((sum, one) => sum + bytesOn(one) + comingTo(one) * sizeOf(one), 0);
  if (taken + sizeOf(shelf) <= limitBytes && taken < limitBytes) return 'free';
  const [oldest] = others
    .filter((one) => one !== shelf && one.spares.length > 0 && one.usedAtMs < shelf.usedAtMs)
    .toSorted((one, other) => one.usedAtMs - other.usedAtMs);
  return oldest === undefined ? 'none' : { insteadOf: oldest };
}

function bytesOn({ spares }: Shelf): number {
  return spares.reduce((sum, { bytes }) => sum + bytes, 0);
}
