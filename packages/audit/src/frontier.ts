import { tileWidth } from './tiles.ts';
import { joinSubtrees, perfectRanges, rootOf } from './tree.ts';
import type { Hash } from './tree.ts';

/**
 * The right edge of a tree: the hashes of the tile that is being filled, at each level from the leaves upwards. All of
 * a log that is needed to extend it. An array has less than 256 hashes.
 */
export type Frontier = Hash[][];

/** A tile that became full: its hashes in order. */
export interface FullTile {
  readonly level: number;
  readonly hashes: readonly Hash[];
}

/** Adds a leaf. Returns the tiles that it completed, from the leaves upwards. */
export function addLeaf(frontier: Frontier, leaf: Hash): FullTile[] {
  const full: FullTile[] = [];
  let hash = leaf;
  for (let level = 0; ; level += 1) {
    const tile = (frontier[level] ??= []);
    tile.push(hash);
    if (tile.length < tileWidth) return full;
    full.push({ level, hashes: tile });
    frontier[level] = [];
    hash = rootOf(tile);
  }
}

/** The root of the tree. */
export function rootOfFrontier(frontier: Frontier): Hash {
  const subtrees = frontier
    .toReversed()
    .flatMap((tile) => perfectRanges([0, tile.length]).map(([from, to]) => rootOf(tile.slice(from, to))));
  return joinSubtrees(subtrees);
}

/** A copy that can be extended without changing this one. */
export function copyFrontier(frontier: Frontier): Frontier {
  return frontier.map((tile) => [...tile]);
}
