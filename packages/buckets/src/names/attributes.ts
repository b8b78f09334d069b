import { createHash } from 'node:crypto';
import type { FuseAttr } from '@soulbox/fuse';

export const folderType = 0o040000;
export const fileType = 0o100000;

/**
 * A bucket knows no owners and no permissions. It belongs to the usual user of sandboxes, and everyone may use it. That is
 * also so in a read-only mount: a write is refused with EROFS, as by every file system, and not with EACCES.
 */
const owner = { uid: 1000, gid: 1000 };
const blockBytes = 512;
const blksize = 128 * 1024;

export interface ShownFile {
  readonly size: number;
  readonly modifiedMs: number;
}

/** The number that programs see: the same for the same key as long as the bucket exists. 51 bits of a digest. */
export function inoOf(key: string): number {
  if (key === '') return 1;
  const digest = createHash('sha256').update(key).digest();
  // 0 and 1 have a meaning.
  return 2 + digest.readUIntBE(0, 6) * 8 + (digest.readUInt8(6) & 7);
}

/** Files that have lost their name: above all numbers of `inoOf`. */
export const inoOfNameless = (nodeId: number): number => 2 ** 52 + nodeId;

export function attributesOf(
  ino: number,
  file: ShownFile | 'folder',
  { folderMs }: { readonly folderMs: number },
): FuseAttr {
  const size = file === 'folder' ? 0 : file.size;
  const ms = file === 'folder' ? folderMs : file.modifiedMs;
  const sec = Math.floor(ms / 1000);
  const time = { sec, nsec: Math.floor((ms - 1000 * sec) * 1_000_000) };
  return {
    ...{ ino, size, blocks: Math.ceil(size / blockBytes), blksize, rdev: 0, ...owner },
    ...{ atime: time, mtime: time, ctime: time },
    mode: (file === 'folder' ? folderType : fileType) | 0o777,
    // 1 for a folder: programs must not conclude from it how many folders are in it.
    nlink: 1,
  };
}
