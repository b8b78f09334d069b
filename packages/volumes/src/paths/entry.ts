import type { FuseTime } from '@soulbox/fuse';
import { fileType, folderType, linkType, typeOf } from '../metadata/inode.ts';
import type { Inode } from '../metadata/inode.ts';

/** A file or folder, as a caller outside of sandboxes sees it. */
export interface PathEntry {
  /** From the root of the volume, beginning with a slash. Bytes that are not UTF-8 are replaced. */
  readonly path: string;
  readonly name: string;
  readonly type: 'file' | 'folder' | 'link' | 'other';
  readonly sizeBytes: number;
  /** Permissions, without the type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: FuseTime;
  readonly accessedAt: FuseTime;
  readonly changedAt: FuseTime;
  readonly linkTarget: string | undefined;
}

const typeNames: Readonly<Record<number, PathEntry['type']>> = {
  [fileType]: 'file',
  [folderType]: 'folder',
  [linkType]: 'link',
};

export function entryOf(path: string, inode: Inode, target: Uint8Array | undefined): PathEntry {
  return {
    path,
    name: path.slice(path.lastIndexOf('/') + 1),
    type: typeNames[typeOf(inode.mode)] ?? 'other',
    sizeBytes: inode.size,
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    modifiedAt: inode.mtime,
    accessedAt: inode.atime,
    changedAt: inode.ctime,
    linkTarget: target === undefined ? undefined : Buffer.from(target).toString(),
  };
}
