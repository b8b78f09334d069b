import { hash } from 'node:crypto';

/** A SHA-256 hash, 32 bytes. */
export type Hash = Buffer;

export const hashBytes = 32;

const leafPrefix = Buffer.from([0]);
const nodePrefix = Buffer.from([1]);

/** RFC 6962, section 2.1: the hash of a leaf. */
export function hashLeaf(data: Uint8Array): Hash {
  return hash('sha256', Buffer.concat([leafPrefix, data]), 'buffer');
}

/** RFC 6962, section 2.1: the hash of a node. */
export function hashNode(left: Hash, right: Hash): Hash {
  return hash('sha256', Buffer.concat([nodePrefix, left, right]), 'buffer');
}

/** The root of a tree without leaves. */
export const emptyRoot: Hash = hash('sha256', '', 'buffer');

/** Leaves from `from` to `to`, excluding `to`. */
export type Range = readonly [from: number, to: number];

/** The largest power of two that is smaller than `count`, which is at least 2. */
function splitOf(count: number): number {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

/** The root of leaves that are given by their hashes. */
export function rootOf(leaves: readonly Hash[]): Hash {
  const [only] = leaves;
  if (only === undefined) return emptyRoot;
  if (leaves.length === 1) return only;
  const half = splitOf(leaves.length);
  return hashNode(rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
}

/**
 * The subtrees whose hashes are the inclusion proof of leaf `index` in the tree of `size` leaves (RFC 6962, section
 * 2.1.1), in the order of the proof. Throws RangeError for a leaf that the tree does not have.
 */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!(index >= 0 && index < size)) throw new RangeError(`A tree of ${size} leaves has no leaf ${index}.`);
  const ranges: Range[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      ranges.push([middle, to]);
      to = middle;
    } else {
      ranges.push([from, middle]);
      from = middle;
    }
  }
  return ranges.reverse();
}

/**
 * The subtrees whose hashes are the consistency proof of the trees of `oldSize` and `size` leaves (RFC 6962, section
 * 2.1.2). Empty if the sizes are equal, and for an empty old tree, to which nothing is compared.
 */
export function consistencyRanges(oldSize: number, size: number): Range[] {
  if (!(oldSize >= 0 && oldSize <= size)) throw new RangeError(`A tree of ${size} leaves contains none of ${oldSize}.`);
  if (oldSize === 0 || oldSize === size) return [];
  const ranges: Range[] = [];
  let [from, to] = [0, size];
  // Until the old tree ends with a whole subtree of the new one.
  while (to !== oldSize) {
    const middle = from + splitOf(to - from);
    if (oldSize <= middle) {
      ranges.push([middle, to]);
      to = middle;
    } else {
      ranges.push([from, middle]);
      from = middle;
    }
  }
  // The verifier knows the old root itself.
  if (from !== 0) ranges.push([from, to]);
  return ranges.reverse();
}

/**
 * The perfect subtrees that a range consists of, largest first. The range starts at a multiple of the power of two that
 * is not smaller than its length, as all subtrees of a proof do.
 */
export function perfectRanges([from, to]: Range): Range[] {
  const ranges: Range[] = [];
  let start = from;
  while (start < to) {
    let width = 1;
    while (width * 2 <= to - start) width *= 2;
    ranges.push([start, start + width]);
    start += width;
  }
  return ranges;
}

/** The hash over neighboring perfect subtrees, largest first. */
export function joinSubtrees(hashes: readonly Hash[]): Hash {
  const last = hashes.at(-1);
  return last === undefined ? emptyRoot : hashes.slice(0, -1).reduceRight((right, left) => hashNode(left, right), last);
}
