import { open, stat } from 'node:fs/promises';

const bytesPerMb = 1024 * 1024;
/** As mkfs is told. */
const bytesPerInode = 16_384;
const inodeSize = 256;
const blockSize = 4096;
/** A sandbox whose layers hold as much as its disk may still write this much (or its whole disk, if that is less). */
const leastDiskMb = 64;

/**
 * Size of an image whose file system offers `diskMb`: ext4 keeps its inode tables, a 64th of the disk, for itself, and
 * `df` inside should name the size that was asked for. Whole blocks.
 */
export function imageSizeBytes(diskMb: number): number {
  return Math.ceil((diskMb * bytesPerMb * (1 + inodeSize / bytesPerInode)) / blockSize) * blockSize;
}

/**
 * What is left of a disk of `diskMb` for a sandbox over `layers`, paths of images: forks of forks would multiply the limit
 * otherwise. What the layers take on the host's disk counts.
 */
export async function freshDiskMb(diskMb: number, layers: readonly string[]): Promise<number> {
  const sizes = await Promise.all(layers.map(async (layer) => (await stat(layer)).blocks * 512));
  const usedMb = sizes.reduce((sum, bytes) => sum + bytes, 0) / bytesPerMb;
  return Math.min(diskMb, Math.max(leastDiskMb, diskMb - usedMb));
}

/** Makes the file that becomes the sandbox's ext4: sparse, about 300 KiB of a fresh 10 GiB are really on the disk. */
export async function makeImageFile(path: string, diskMb: number): Promise<void> {
  const image = await open(path, 'wx', 0o600);
  try {
    await image.truncate(imageSizeBytes(diskMb));
  } finally {
    await image.close();
  }
}
