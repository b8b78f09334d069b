import { describe, expect, test } from 'vitest';
import {
  consistencyRanges,
  emptyRoot,
  hashLeaf,
  inclusionRanges,
  joinSubtrees,
  perfectRanges,
  rootOf,
} from './tree.ts';
import type { Hash, Range } from './tree.ts';
import { provesConsistency, provesInclusion } from './verify-proof.ts';

/** The leaves and roots with which implementations of RFC 6962 compare themselves. */
const leafData = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const sizeMax = 100;
const leaves = Array.from({ length: sizeMax }, (_, index) => hashLeaf(Buffer.from(`leaf ${index}`)));
const root = (size: number): Hash => rootOf(leaves.slice(0, size));
const hashesOf = (ranges: readonly Range[]): Hash[] => ranges.map(([from, to]) => rootOf(leaves.slice(from, to)));

/** Proofs that differ from a right one in one place. */
function wrongProofs(proof: readonly Hash[]): Hash[][] {
  const other = hashLeaf(Buffer.from('other'));
  const wrong = [
    [...proof, other],
    [other, ...proof],
  ];
  for (const [index, hash] of proof.entries()) {
    const flipped = Buffer.from(hash);
    flipped[index % 32] = (flipped[index % 32] ?? 0) ^ (1 << (index % 8));
    wrong.push(proof.with(index, flipped), proof.toSpliced(index, 1));
  }
  return wrong;
}

describe('the tree of RFC 6962', () => {
  test('has the known roots for 0 to 8 leaves', () => {
    const known = leafData.map((hex) => hashLeaf(Buffer.from(hex, 'hex')));
    expect(roots.map((_, size) => rootOf(known.slice(0, size)).toString('hex'))).toEqual(roots);
    expect(emptyRoot.toString('hex')).toBe(roots[0]);
  });

  test('consists of perfect subtrees', () => {
    for (let size = 1; size <= sizeMax; size += 1) {
      const subtrees = perfectRanges([0, size]);
      expect(subtrees.every(([from, to]) => Number.isInteger(Math.log2(to - from)) && from % (to - from) === 0)).toBe(
        true,
      );
      expect(joinSubtrees(hashesOf(subtrees))).toEqual(root(size));
    }
  });
});

const roots100 = leaves.map((_, index) => root(index + 1));

test('each leaf of each tree of up to 100 has an inclusion proof, which proves nothing else', () => {
  let believed = 0;
  for (let size = 1; size <= sizeMax; size += 1)
    for (let index = 0; index < size; index += 1) {
      const claim = { leaf: leaves[index] ?? emptyRoot, index, size, root: roots100[size - 1] ?? emptyRoot };
      const proof = hashesOf(inclusionRanges(index, size));
      if (!provesInclusion(proof, claim)) throw new Error(`Leaf ${index} of ${size} has no proof.`);
      const wrong = [
        ...[{ leaf: emptyRoot }, { root: emptyRoot }, { index: index + 1 }, { index: index - 1 }, { size: index }],
      ];
      believed += wrong.filter((change) => provesInclusion(proof, { ...claim, ...change })).length;
      if (size < 12 || index % 29 === 0)
        believed += wrongProofs(proof).filter((other) => provesInclusion(other, claim)).length;
    }
  expect(believed).toBe(0);
});

test('each tree of up to 100 has a consistency proof with each larger one, which proves nothing else', () => {
  let believed = 0;
  const headOf = (size: number) => ({ size, root: roots100[size - 1] ?? emptyRoot });
  for (let now = 1; now <= sizeMax; now += 1)
    for (let old = 1; old <= now; old += 1) {
      const heads = [headOf(old), headOf(now)] as const;
      const proof = hashesOf(consistencyRanges(old, now));
      if (!provesConsistency(proof, ...heads)) throw new Error(`The trees of ${old} and ${now} have no proof.`);
      if (provesConsistency(proof, { size: old, root: emptyRoot }, heads[1])) believed += 1;
      if (provesConsistency(proof, heads[0], { size: now, root: emptyRoot })) believed += 1;
      if (old < now && provesConsistency(proof, heads[1], heads[0])) believed += 1;
      if (now < 12 || old % 29 === 0)
        believed += wrongProofs(proof).filter((other) => provesConsistency(other, ...heads)).length;
    }
  expect(believed).toBe(0);
});

test('an empty old tree is consistent with everything, but only if it has the empty root', () => {
  expect(provesConsistency([], { size: 0, root: emptyRoot }, { size: 5, root: root(5) })).toBe(true);
  expect(provesConsistency([], { size: 0, root: root(1) }, { size: 5, root: root(5) })).toBe(false);
  expect(provesConsistency([root(1)], { size: 0, root: emptyRoot }, { size: 5, root: root(5) })).toBe(false);
});

test('what a tree does not contain has no proof', () => {
  for (const [index, size] of [
    [0, 0],
    [5, 5],
    [-1, 5],
    [NaN, 5],
  ] as const)
    expect(() => inclusionRanges(index, size)).toThrow(RangeError);
  for (const [old, size] of [
    [6, 5],
    [-1, 5],
    [NaN, 5],
  ] as const)
    expect(() => consistencyRanges(old, size)).toThrow(RangeError);
});
