import { statfsSync } from 'node:fs';
import { reserveOf } from './policy.ts';
import type { DiskPolicy } from './policy.ts';

/** The file system of the host that holds all disks. */
export interface HostDisk {
  readonly freeBytes: number;
  readonly totalBytes: number;
  readonly reserveBytes: number;
}

/** Synchronous: the caller compares it with readings of disks made in the same moment. */
export function readHostDisk(directory: string, policy: DiskPolicy): HostDisk {
  const { bavail, blocks, bsize } = statfsSync(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, reserveBytes: reserveOf(policy, blocks * bsize) };
}
