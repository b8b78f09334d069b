import { FuseError, type FuseAttr, type FuseTime } from '../fuse-fs.ts';
import type { Content } from './content.ts';

export const types = {
  mask: 0o170000,
  folder: 0o040000,
  file: 0o100000,
  link: 0o120000,
} as const;
export const setuid = 0o4000;
export const setgid = 0o2000;
const groupExecutes = 0o010;

interface NodeBase {
  readonly id: number;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  atime: FuseTime;
  mtime: FuseTime;
  ctime: FuseTime;
  readonly xattrs: Map<string, Buffer>;
  /** The kernel was given it and has not forgotten it. */
  known: boolean;
}

export interface Entry {
  readonly name: Buffer;
  readonly node: Node;
  /** Grows with each entry of the folder: its cookie. */
  readonly seq: number;
}

export interface FolderNode extends NodeBase {
  readonly kind: 'folder';
  parent: FolderNode;
  /** By name as Latin-1, which keeps every byte. */
  readonly entries: Map<string, Entry>;
  lastSeq: number;
}

export interface FileNode extends NodeBase {
  readonly kind: 'file';
  readonly content: Content;
}

export interface LinkNode extends NodeBase {
  readonly kind: 'link';
  readonly target: Buffer;
}

export interface DeviceNode extends NodeBase {
  readonly kind: 'device';
  readonly rdev: number;
}

export type Node = FolderNode | FileNode | LinkNode | DeviceNode;

/** Cookies of `.` and `..`. */
export const firstSeq = 2;

export const keyOf = (name: Uint8Array): string => Buffer.from(name).toString('latin1');

export function now(): FuseTime {
  const ms = Date.now();
  return { sec: Math.floor(ms / 1000), nsec: (ms % 1000) * 1_000_000 };
}

export function attrOf(node: Node): FuseAttr {
  const size = node.kind === 'file' ? node.content.size() : node.kind === 'link' ? node.target.length : 4096;
  const bytes = node.kind === 'file' ? node.content.allocatedBytes() : 0;
  return {
    ...{ ino: node.id, size: node.kind === 'device' ? 0 : size, blocks: bytes / 512, blksize: 4096 },
    ...{ atime: node.atime, mtime: node.mtime, ctime: node.ctime },
    ...{ mode: node.mode, nlink: node.nlink, uid: node.uid, gid: node.gid },
    rdev: node.kind === 'device' ? node.rdev : 0,
  };
}

/** The content or the names changed. */
export function touch(node: Node): void {
  node.mtime = node.ctime = now();
}

/** What a write, a truncation and a change of the owner take away (HANDLE_KILLPRIV_V2). */
export function dropPrivileges(node: Node, dropModes: boolean): void {
  if (node.kind === 'folder') return;
  node.xattrs.delete('security.capability');
  if (!dropModes) return;
  node.mode &= ~setuid;
  if ((node.mode & groupExecutes) !== 0) node.mode &= ~setgid;
}

export function fileOf(node: Node): FileNode {
  if (node.kind === 'folder') throw new FuseError('EISDIR');
  if (node.kind !== 'file') throw new FuseError('EINVAL');
  return node;
}
