import { open, stat } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { DiskReading, SandboxSpec } from '../driver.ts';

const bytesPerMb = 1024 * 1024;
/** As mkfs is told. Inode tables are written as they are used, so the host must keep room for all of them (decision 019). */
const bytesPerInode = 32_768;
export const inodeSize = 256;
export const blockSize = 4096;
/** Of even the smallest file system: its root folder and what mkfs puts beside it. */
const tablesOfAnyDisk = 256 * 1024;
/** Kernel's Documentation/filesystems/ext4/super.rst. A disk has fewer than 2^32 blocks, so the low half of a count is all of it. */
const superblock = {
  offset: 1024,
  sizeBytes: 1024,
  inodesAt: 0x00,
  freeBlocksAt: 0x0c,
  magicAt: 0x38,
  magic: 0xef53,
} as const;
/** A sandbox whose layers hold as much as its disk may still write this much (or its whole disk, if that is less). */
const leastDiskMb = 64;

/**
 * Size of an image whose file system offers `diskMb`: ext4 keeps its inode tables, a 128th of the disk, for itself, and
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

/** `spec.diskGrowthBytes` as the scripts take it. */
export function growthBlocks({ diskGrowthBytes }: Pick<SandboxSpec, 'diskGrowthBytes'>): string {
  return String(Math.max(0, Math.floor(diskGrowthBytes / blockSize)));
}

/** What a disk that is yet to be made takes of the host without a byte of its tenant's: its tables, of which mkfs writes next to nothing. */
export function tableBytes(diskMb: number): number {
  const bytes = imageSizeBytes(diskMb);
  // Beside the inode tables, for each 128 MiB: two bitmaps, a descriptor, and here and there a copy of the superblock.
  return Math.ceil(bytes * (inodeSize / bytesPerInode + 1 / 8192)) + tablesOfAnyDisk;
}

/**
 * How the image of a sandbox that does not run stands to the host's disk, by its superblock: nothing inside can have written that
 * but the kernel, as it unmounted the file system. Throws `state_damaged` for one that has none.
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
