import { open, stat } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { DiskReading } from '../driver.ts';

const bytesPerMb = 1024 * 1024;
/**
 * The value for mkfs. Inode tables are written when they are used, so the host must reserve space for all of them
 * (decision 019).
 */
const bytesPerInode = 32_768;
export const inodeSize = 256;
export const blockSize = 4096;
/** Tables of even the smallest file system: its root folder and other structures of mkfs. */
const tablesOfAnyDisk = 256 * 1024;
/**
 * Kernel: Documentation/filesystems/ext4/super.rst. A disk has fewer than 2^32 blocks, so the low half of a count is
 * complete.
 */
const superblock = {
  offset: 1024,
  sizeBytes: 1024,
  inodesAt: 0x00,
  freeBlocksAt: 0x0c,
  magicAt: 0x38,
  magic: 0xef53,
} as const;
/**
 * A sandbox whose layers contain as much as its disk may still write this much (or its whole disk, if that is less).
 */
const leastDiskMb = 64;

/**
 * Size of an image whose file system offers `diskMb`: ext4 needs a 128th of the disk for its inode tables, and `df`
 * inside should show the requested size. Whole blocks.
 */
export function imageSizeBytes(diskMb: number): number {
  return Math.ceil((diskMb * bytesPerMb * (1 + inodeSize / bytesPerInode)) / blockSize) * blockSize;
}

/**
 * The disk size that is left of `diskMb` for a sandbox over `layers`, paths of images: otherwise forks of forks would
 * multiply the limit. The space that the layers use on the host's disk is subtracted.
 */
export async function freshDiskMb(diskMb: number, layers: readonly string[]): Promise<number> {
  const sizes = await Promise.all(layers.map(async (layer) => (await stat(layer)).blocks * 512));
  const usedMb = sizes.reduce((sum, bytes) => sum + bytes, 0) / bytesPerMb;
  return Math.min(diskMb, Math.max(leastDiskMb, diskMb - usedMb));
}

/**
 * Creates the file that becomes the sandbox's ext4. It is sparse: a fresh disk of 10 GiB uses about 300 KiB of the
 * host's disk.
 */
export async function makeImageFile(path: string, diskMb: number): Promise<void> {
  const image = await open(path, 'wx', 0o600);
  try {
    await image.truncate(imageSizeBytes(diskMb));
  } finally {
    await image.close();
  }
}

/**
 * The space that a new disk uses on the host without any data of its tenant: its tables, of which mkfs writes almost
 * nothing.
 */
export function tableBytes(diskMb: number): number {
  const bytes = imageSizeBytes(diskMb);
  // In addition to the inode tables, each 128 MiB has two bitmaps and a descriptor, and some have a copy of the
  // superblock.
  return Math.ceil(bytes * (inodeSize / bytesPerInode + 1 / 8192)) + tablesOfAnyDisk;
}

/**
 * The reading of the disk image of a sandbox that does not run, from its superblock: only the kernel can have written
 * that, when it unmounted the file system. Throws `state_damaged` if there is none.
 */
export async function readUnmountedDisk(image: string): Promise<DiskReading> {
  const file = await open(image, 'r');
  try {
    const { blocks, size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(superblock.sizeBytes), 0, superblock.sizeBytes, superblock.offset);
    if (buffer.readUInt16LE(superblock.magicAt) !== superblock.magic)
      throw new SoulBoxError('state_damaged', 'The saved disk of the sandbox does not contain a file system.');
    const freeBytes = buffer.readUInt32LE(superblock.freeBlocksAt) * blockSize;
    const tableBytes = buffer.readUInt32LE(superblock.inodesAt) * inodeSize;
    return { sizeBytes: size, freeBytes, tableBytes, heldBackBytes: 0, allocatedBytes: blocks * 512 };
  } finally {
    await file.close();
  }
}
