import { stat } from 'node:fs/promises';

const sectorBytes = 512;

export interface DiskFacts {
  readonly sizeBytes: number;
  /** Bytes that the file system has allocated for it. */
  readonly allocatedBytes: number;
  /**
   * Its inode, and the times of the last change of its content and of its inode. Every write to the file changes the
   * stamp.
   */
  readonly stamp: string;
}

export async function readDiskFacts(path: string): Promise<DiskFacts> {
  const { size, blocks, ino, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const stamp = `${ino}:${mtimeNs}:${ctimeNs}`;
  return { sizeBytes: Number(size), allocatedBytes: Number(blocks) * sectorBytes, stamp };
}
