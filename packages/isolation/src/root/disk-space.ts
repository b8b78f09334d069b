import { statfsSync } from 'node:fs';
import type { ResourceSample } from '../driver.ts';

type DiskSpace = Pick<ResourceSample, 'diskTotalBytes' | 'diskUsedBytes'>;

/** How full the file system is that `root` belongs to. Synchronous: statfs follows nothing in it and never blocks. */
export function readDiskSpace(root: string): DiskSpace {
  const space = statfsSync(root);
  return {
    diskTotalBytes: space.blocks * space.bsize,
    diskUsedBytes: (space.blocks - space.bfree) * space.bsize,
  };
}
