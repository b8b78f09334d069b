import { stat } from 'node:fs/promises';

const sectorBytes = 512;

export interface DiskFacts {
  readonly sizeBytes: number;
  /** What its file system gave it. */
  readonly allocatedBytes: number;
  /** Its inode, and when its content and itself were last changed: whoever writes to the file changes that. */
  readonly stamp: string;
}

export async function readDiskFacts(path: string): Promise<DiskFacts> {
  const { size, blocks, ino, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const stamp = `${ino}:${mtimeNs}:${ctimeNs}`;
  return { sizeBytes: Number(size), allocatedBytes: Number(blocks) * sectorBytes, stamp };
}
