import type { FuseTime } from '@soulbox/fuse';

/** A file, folder, link or other node, as `stat` shows it. */
export interface Inode {
  readonly ino: number;
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** 0 for an orphan: a file without a name that somebody still has open. */
  readonly nlink: number;
  readonly size: number;
  /** Bytes that its data, extended attributes and target use. Holes use none. */
  readonly allocated: number;
  readonly rdev: number;
  readonly atime: FuseTime;
  readonly mtime: FuseTime;
  readonly ctime: FuseTime;
  /** Of a folder, the folder that it is in; else 0. */
  readonly parent: number;
  readonly xattrBytes: number;
}

export const rootIno = 1;

const typeMask = 0o170000;
export const typeOf = (mode: number): number => mode & typeMask;
export const folderType = 0o040000;
export const fileType = 0o100000;
export const linkType = 0o120000;
export const isFolder = ({ mode }: { readonly mode: number }): boolean => typeOf(mode) === folderType;
export const isFile = ({ mode }: { readonly mode: number }): boolean => typeOf(mode) === fileType;

/** Of a file: without them, there is no need to look for any. */
export const hasBlocks = ({ allocated, xattrBytes }: Inode): boolean => allocated > xattrBytes;

export const setuidBit = 0o4000;
export const setgidBit = 0o2000;
const groupExecuteBit = 0o010;

/** Without setuid, and without setgid where it means a program and not a lock: what a write or a chown leaves. */
export function withoutSuidgid(mode: number): number {
  if (typeOf(mode) !== fileType) return mode;
  const isSetgidProgram = (mode & (setgidBit | groupExecuteBit)) === (setgidBit | groupExecuteBit);
  return mode & ~setuidBit & ~(isSetgidProgram ? setgidBit : 0);
}
