import { describe, expect, it } from 'vitest';
import type { LiveSandbox } from '../registry/table.ts';
import { chooseBoot, findRoom, wantedOn } from './policy.ts';
import { createShelf } from './shelf.ts';
import type { Shelf, Spare } from './shelf.ts';

const limits = { size: 2, memoryLimitBytes: 100 };
const waiter = { resolve: () => undefined, reject: () => undefined };
const spareOf = (bytes: number): Spare => ({ sandbox: {} as LiveSandbox, bytes });

/** A shelf that was used at `usedAtMs`. Because of two creates at that time, it wants two spares. */
function shelfOf(usedAtMs: number, rest: Partial<Shelf> = {}): Shelf {
  const blueprint = { kind: 'snapshot' as const, snapshotId: `s${usedAtMs}` };
  const shelf = createShelf(blueprint, { idleMs: 10_000, maxSpares: 4 }, usedAtMs);
  shelf.demand.note(usedAtMs);
  shelf.demand.note(usedAtMs);
  return Object.assign(shelf, rest);
}

describe('the next boot', () => {
  it('is for a waiting create before any refill', () => {
    const [refill, waited] = [shelfOf(1), shelfOf(2, { waiters: [waiter] })];
    expect(chooseBoot([refill, waited], limits, 2)).toEqual({ shelf: waited, insteadOf: [] });
  });

  it('is none if every waiting create has its boot and every shelf its spares', () => {
    const served = shelfOf(1, { waiters: [waiter], booting: 3 });
    const full = shelfOf(2, { spares: [spareOf(1), spareOf(1)] });
    expect(chooseBoot([served, full], limits, 2)).toBeUndefined();
  });

  it('is not for a shelf whose refills pause', () => {
    const [pausing, next] = [shelfOf(1, { pauses: 1 }), shelfOf(2)];
    expect(chooseBoot([pausing, next], limits, 2)?.shelf).toBe(next);
    expect(chooseBoot([pausing], limits, 2)).toBeUndefined();
  });

  it('skips a shelf without room for one with room', () => {
    const large = shelfOf(1, { spareBytes: 200 });
    const pinned = shelfOf(2, { isPinned: true });
    expect(chooseBoot([large, pinned], limits, 2)?.shelf).toBe(pinned);
  });
});

describe('room for a spare', () => {
  it('is taken from blueprints that were used earlier, oldest use first, and not more than needed', () => {
    const [a, b, c] = [spareOf(40), spareOf(40), spareOf(20)];
    const shelves = [shelfOf(2, { spares: [b], spareBytes: 40 }), shelfOf(1, { spares: [a], spareBytes: 40 })];
    const latest = shelfOf(3, { spares: [c], spareBytes: 20 });
    expect(findRoom([...shelves, latest], latest, 100)).toEqual([a]);
    expect(findRoom([...shelves, latest], latest, 50)).toEqual([a, b]);
  });

  it('is never taken from blueprints that were used later: then there is none', () => {
    const later = shelfOf(2, { spares: [spareOf(90)], spareBytes: 90 });
    const earlier = shelfOf(1, { spareBytes: 20 });
    expect(findRoom([later, earlier], earlier, 100)).toBeUndefined();
  });

  it('removes no spare if that would not make enough room', () => {
    const oldest = shelfOf(1, { spares: [spareOf(10)], spareBytes: 10 });
    const latest = shelfOf(2, { spareBytes: 200 });
    expect(findRoom([oldest, latest], latest, 100)).toBeUndefined();
    expect(oldest.spares).toHaveLength(1);
  });

  it('is unknown until the first spare of a shelf shows how large its spares are', () => {
    expect(findRoom([shelfOf(1)], shelfOf(2, { booting: 1 }), 100)).toBeUndefined();
  });
});

it('a pinned shelf wants the size of the pool, any other shelf as many spares as its demand', () => {
  expect(wantedOn(shelfOf(1, { isPinned: true }), limits, 1)).toBe(2);
  expect(wantedOn(shelfOf(1), limits, 1)).toBe(2);
  expect(wantedOn(shelfOf(1), limits, 20_000)).toBe(0);
});
