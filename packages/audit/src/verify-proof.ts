import { emptyRoot, hashNode } from './tree.ts';
import type { Hash } from './tree.ts';

/** Halves a number that may have more than 32 bits. */
const half = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;

export interface LeafClaim {
  readonly leaf: Hash;
  readonly index: number;
  readonly size: number;
  readonly root: Hash;
}

/** RFC 9162, section 2.1.3.2: whether the leaf has this index in the tree of this size and root. */
export function provesInclusion(proof: readonly Hash[], { leaf, index, size, root }: LeafClaim): boolean {
  if (!(index >= 0 && index < size)) return false;
  let [at, last] = [index, size - 1];
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(at) || at === last) {
      hash = hashNode(sibling, hash);
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      hash = hashNode(hash, sibling);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && hash.equals(root);
}

export interface TreeHead {
  readonly size: number;
  readonly root: Hash;
}

/** RFC 9162, section 2.1.4.2: whether the new tree starts with all leaves of the old one, in the same order. */
export function provesConsistency(proof: readonly Hash[], old: TreeHead, now: TreeHead): boolean {
  if (old.size > now.size || old.size < 0) return false;
  if (old.size === now.size) return proof.length === 0 && old.root.equals(now.root);
  if (old.size === 0) return proof.length === 0 && old.root.equals(emptyRoot);
  let [at, last] = [old.size - 1, now.size - 1];
  while (isOdd(at)) [at, last] = [half(at), half(last)];
  // An old tree that is a whole subtree of the new one is not part of the proof.
  const [first, ...rest] = at === 0 ? [old.root, ...proof] : proof;
  if (first === undefined) return false;
  let [oldHash, newHash] = [first, first];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(at) || at === last) {
      oldHash = hashNode(sibling, oldHash);
      newHash = hashNode(sibling, newHash);
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)];
    } else {
      newHash = hashNode(newHash, sibling);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 && oldHash.equals(old.root) && newHash.equals(now.root);
}
