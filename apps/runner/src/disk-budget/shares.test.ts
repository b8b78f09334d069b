/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { committedTo, costOf, owedBytes, shareOut, sumOf } from './shares.ts';
import type { DiskDemand } from './shares.ts';

const mib = 2 ** 20;

const demandOf = (changes: Partial<DiskDemand> = {}): DiskDemand => ({
  owedBytes: 0,
  allowedBytes: 0,
  promisedBytes: 10 * mib,
  wantedBytes: 1000 * mib,
  isActive: false,
  ...changes,
});
const anyBytes = fc.integer({ min: 0, max: 20_000 }).map((count) => count * mib);
const anyDemand = fc.record<DiskDemand>({
  owedBytes: anyBytes,
  allowedBytes: anyBytes,
  promisedBytes: anyBytes,
  wantedBytes: anyBytes,
  isActive: fc.boolean(),
});

test('never more is handed out than there is, whatever is requested', () => {
  fc.assert(
    fc.property(
      fc.array(anyDemand, { maxLength: 50 }),
      fc.integer({ min: -1000, max: 1_000_000 }),
      (demands, roomMb) => {
        const shares = shareOut(demands, roomMb * mib);
        // `costOf` rounds each up to a byte.
        expect(sumOf(shares, costOf)).toBeLessThanOrEqual(Math.max(0, roomMb * mib) + demands.length);
        shares.forEach((share, index) => {
          expect(share).toBeGreaterThanOrEqual(0);
          expect(share).toBeLessThanOrEqual(demands[index]?.wantedBytes ?? 0);
        });
      },
    ),
  );
});

test('if there is room for all promises, each is kept', () => {
  fc.assert(
    fc.property(fc.array(anyDemand, { maxLength: 50 }), anyBytes, (demands, more) => {
      const room = sumOf(demands, ({ promisedBytes }) => costOf(promisedBytes)) + more;
      shareOut(demands, room).forEach((share, index) => {
        const { promisedBytes = 0, wantedBytes = 0 } = demands[index] ?? {};
        expect(share).toBeGreaterThanOrEqual(Math.min(promisedBytes, wantedBytes) - 1);
      });
    }),
  );
});

test('if there is enough room, every disk may be filled', () => {
  const demands = [demandOf(), demandOf({ isActive: true }), demandOf({ wantedBytes: 5 * mib })];
  expect(shareOut(demands, 10_000 * mib)).toEqual([1000 * mib, 1000 * mib, 5 * mib]);
});

test('the rest is shared by all disks, and those in use get most of it', () => {
  const [idle = 0, active = 0] = shareOut([demandOf(), demandOf({ isActive: true })], costOf(20 * mib + 90 * mib));
  expect(idle / mib).toBeCloseTo(10 + 10, 0);
  expect(active / mib).toBeCloseTo(10 + 80, 0);
});

test('a share that one disk cannot use is given to the others', () => {
  const [small = 0, large = 0] = shareOut([demandOf({ wantedBytes: 12 * mib }), demandOf()], costOf(120 * mib));
  expect(small).toBe(12 * mib);
  expect(large / mib).toBeCloseTo(108, 0);
});

test('promises that cannot be kept are reduced in proportion, and without any room no disk grows', () => {
  const demands = [demandOf({ promisedBytes: 30 * mib }), demandOf({ promisedBytes: 10 * mib })];
  const [first = 0, second = 0] = shareOut(demands, costOf(20 * mib));
  expect(first / mib).toBeCloseTo(15, 0);
  expect(second / mib).toBeCloseTo(5, 0);
  expect(shareOut(demands, 0)).toEqual([0, 0]);
  expect(shareOut(demands, -mib)).toEqual([0, 0]);
});

const readingOf = (usedMb: number, allocatedMb: number): Parameters<typeof owedBytes>[0] => ({
  sizeBytes: 1000 * mib,
  freeBytes: (1000 - usedMb) * mib,
  tableBytes: 8 * mib,
  heldBackBytes: 0,
  allocatedBytes: allocatedMb * mib,
});

test('holes in the used space are owed, and so are the maps of all of it', () => {
  expect(owedBytes(readingOf(64, 64))).toBe(mib);
  expect(owedBytes(readingOf(64, 24))).toBe(41 * mib);
});

test('blocks of an image beyond the used space do not reduce what is owed', () => {
  expect(owedBytes(readingOf(64, 500))).toBe(owedBytes(readingOf(64, 64)));
});

test('the committed space of a disk is what is owed and promised to it, including maps', () => {
  expect(committedTo(demandOf({ owedBytes: 3 * mib, promisedBytes: 64 * mib }))).toBe(68 * mib);
});
