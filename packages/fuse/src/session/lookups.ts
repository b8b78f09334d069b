import type { FuseFs } from '../fuse-fs.ts';

/**
 * How often the kernel was given each node. It says FORGET with a number when it drops one; at 0 nobody knows the node.
 * After a takeover the counts of the process before are missing. Then the kernel gives back more than was counted here,
 * always all of it at once, which ends a node, too.
 */
export interface Lookups {
  readonly add: (nodeId: number) => void;
  readonly forget: (nodeId: number, count: number) => void;
  readonly size: () => number;
}

/** The root is known as long as it is mounted. */
const rootId = 1;

export function createLookups(forget: NonNullable<FuseFs['forget']>): Lookups {
  const counts = new Map<number, number>();
  return {
    add: (nodeId) => {
      if (nodeId !== 0 && nodeId !== rootId) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
    },
    forget: (nodeId, count) => {
      if (nodeId === rootId) return;
      const rest = (counts.get(nodeId) ?? 0) - count;
      if (rest > 0) {
        counts.set(nodeId, rest);
        return;
      }
      counts.delete(nodeId);
      forget(nodeId);
    },
    size: () => counts.size,
  };
}
