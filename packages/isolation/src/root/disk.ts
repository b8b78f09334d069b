import { open } from 'node:fs/promises';

const bytesPerMb = 1024 * 1024;
/** As create.sh tells mkfs. */
const bytesPerInode = 16_384;
const inodeSize = 256;

/**
 * Size of an image whose file system offers `diskMb`: ext4 keeps its inode tables, a 64th of the disk, for itself, and
 * `df` inside should name the size that was asked for. Whole blocks.
 */
export function imageSizeBytes(diskMb: number): number {
  const blockSize = 4096;
  return Math.ceil((diskMb * bytesPerMb * (1 + inodeSize / bytesPerInode)) / blockSize) * blockSize;
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
