import type { Awaitable, FuseTime } from '@soulbox/fuse';
import type { Inode } from './inode.ts';

/**
 * Names, attributes and block lists of one volume. Each change is one transaction: it is carried out as a whole or
 * fails with a `FuseError` and changes nothing. Its promise is settled when a killed process would not lose it.
 *
 * A database on another host can implement this: no method needs two round trips, and answers may be promises.
 */
export interface Metadata extends NameChanges, ContentChanges, XattrChanges, AsyncDisposable {
  readonly facts: () => VolumeFacts;
  readonly find: (ino: number) => Awaitable<Inode | undefined>;
  readonly lookup: (parent: number, name: Uint8Array) => Awaitable<Inode | undefined>;
  /** Entries behind `after`, in the order in which they were made. */
  readonly list: (folder: number, after: number, limit: number) => Awaitable<readonly Entry[]>;
  readonly readTarget: (ino: number) => Awaitable<Uint8Array | undefined>;
  /** Files without names, in order, with a number above `after`. */
  readonly listOrphans: (after: number, limit: number) => Awaitable<readonly number[]>;
  readonly setAttributes: (ino: number, changes: AttributeChanges, note?: Note<Inode>) => Promise<Inode>;
  /**
   * Deletes a part of a file without names, at the end the file. Returns whether it is gone. Does nothing to a file with
   * names.
   */
  readonly reap: (ino: number) => Promise<boolean>;
  /** The answer to a request of a mount, if it is one of its last ones. */
  readonly findReply: (mount: string, unique: number) => Awaitable<Uint8Array | undefined>;
  readonly setQuota: (quota: Quota) => Promise<void>;
  /**
   * Blocks that are written from now on differ from those of before, which are not changed any more. `isShared`: nor
   * deleted, because a copy has them.
   */
  readonly beginGeneration: (options: { readonly isShared: boolean }) => Promise<void>;
  readonly locks: LockRecords;
  /** Settled when all changes of before are carried out. Undefined if they are already. */
  readonly settled: () => Promise<void> | undefined;
  /** All changes of before survive a crash of the host. */
  readonly sync: () => Promise<void>;
}

export interface VolumeFacts {
  readonly id: string;
  /** Grows with each transaction. */
  readonly commit: number;
  /** Grows with each transaction that changes what a user has stored, and by nothing else. */
  readonly changes: number;
  readonly generation: number;
  readonly isReadOnly: boolean;
  readonly usage: Usage;
  readonly quota: Quota;
  /** Inodes from here on were made by this process. */
  readonly firstOwnIno: number;
}

export interface Usage {
  readonly bytes: number;
  /** Files, folders and other nodes, and further names of them. */
  readonly inodes: number;
}

/** `undefined` is unlimited. */
export interface Quota {
  readonly bytes: number | undefined;
  readonly inodes: number | undefined;
}

export interface Entry {
  readonly name: Uint8Array;
  /** Grows with each entry of the volume, and is never used again. */
  readonly seq: number;
  readonly inode: Inode;
}

export interface NewNode {
  /** With its type. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev?: number;
  readonly target?: Uint8Array;
}

/** What a transaction also records, so that the request is not carried out twice. */
export type Note<T> = (result: T) => { readonly mount: string; readonly unique: number; readonly reply: Uint8Array };

interface NameChanges {
  readonly create: (parent: number, name: Uint8Array, node: NewNode, note?: Note<Inode>) => Promise<Inode>;
  /** A file without a name. */
  readonly createOrphan: (parent: number, node: NewNode, note?: Note<Inode>) => Promise<Inode>;
  /** Gives a file another name, even if something else than a folder has it. Returns the orphan that it leaves, if any. */
  readonly replace: (ino: number, parent: number, name: Uint8Array) => Promise<number | undefined>;
  readonly link: (ino: number, parent: number, name: Uint8Array, note?: Note<Inode>) => Promise<Inode>;
  /** Removes a name of anything but a folder. Returns the orphan that it leaves, if any. */
  readonly unlink: (parent: number, name: Uint8Array, note?: Note<unknown>) => Promise<number | undefined>;
  readonly removeFolder: (parent: number, name: Uint8Array, note?: Note<unknown>) => Promise<number | undefined>;
  readonly rename: (from: Place, to: Place, mode: RenameMode, note?: Note<unknown>) => Promise<number | undefined>;
}

export interface Place {
  readonly parent: number;
  readonly name: Uint8Array;
}

export type RenameMode = 'replace' | 'keep' | 'exchange';

export interface AttributeChanges {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly atime?: FuseTime | 'now';
  readonly mtime?: FuseTime | 'now';
  readonly killSuidgid?: boolean;
}

/** Bytes of a file from `index * blockBytes` on. Those behind `length` are zeros, whatever the block store has. */
export interface Block {
  readonly index: number;
  readonly length: number;
  readonly content: Uint8Array | string;
  /** With which generation of the volume it was written. Only blocks of the present one may be changed in their place. */
  readonly generation: number;
  /** SHA-256 of a block of the block store, CRC-32 of others. Undefined while it changes. */
  readonly digest: Uint8Array | undefined;
}

export interface BlockPlace {
  readonly ino: number;
  readonly index: number;
}

export interface RenamedBlock {
  readonly place: BlockPlace;
  readonly from: string;
  readonly to: string;
}

/** What a block becomes. */
export interface BlockChange {
  readonly index: number;
  /** What it was, as read by the caller, who has the file alone. */
  readonly old: Block | undefined;
  readonly length: number;
  readonly content: Uint8Array | string;
}

export interface Write {
  readonly blocks: readonly BlockChange[];
  /** Indexes of blocks that become holes, from the first to before the second. */
  readonly holes?: readonly [number, number];
  /** The file becomes at least this long. */
  readonly sizeAtLeast: number;
  readonly killSuidgid: boolean;
}

interface ContentChanges {
  /** Blocks with an index of this range, both inclusive, in order. */
  readonly blocks: (ino: number, first: number, last: number, limit?: number) => Awaitable<readonly Block[]>;
  /** All blocks of the volume, in a fixed order, behind one of them. */
  readonly listBlocks: (after: BlockPlace, limit: number) => Awaitable<readonly (Block & BlockPlace)[]>;
  /** Throws EDQUOT if the volume has no room for so many bytes more. */
  readonly checkRoom: (bytes: number) => void;
  readonly write: (ino: number, write: Write, note?: Note<void>) => Promise<void>;
  /** Gives blocks of the block store other names for the same bytes. One that has another name by now keeps it. */
  readonly renameBlocks: (renamed: readonly RenamedBlock[]) => Promise<void>;
  readonly setDigest: (ino: number, block: Block, digest: Uint8Array | undefined) => Promise<void>;
  /** Sets the time of the last access, if it is older than the last change or a day. */
  readonly touch: (inode: Inode) => void;
}

interface XattrChanges {
  readonly getXattr: (ino: number, name: Uint8Array) => Awaitable<Uint8Array | undefined>;
  readonly listXattrs: (ino: number) => Awaitable<readonly Uint8Array[]>;
  readonly setXattr: (
    ino: number,
    name: Uint8Array,
    value: Uint8Array,
    mode: 'set' | 'create' | 'replace',
    note?: Note<void>,
  ) => Promise<void>;
  readonly removeXattr: (ino: number, name: Uint8Array, note?: Note<void>) => Promise<void>;
}

export interface HeldLock {
  readonly kind: 'posix' | 'flock';
  readonly mount: string;
  readonly owner: string;
  readonly type: 'read' | 'write';
  readonly start: number;
  readonly end: number;
  readonly pid: number;
}

export interface LockChange {
  readonly removed: readonly HeldLock[];
  readonly added: readonly HeldLock[];
}

/** Held locks outlive the process: the kernel does not repeat them. */
export interface LockRecords {
  readonly list: () => Awaitable<readonly (HeldLock & { readonly ino: number })[]>;
  /** Changes the locks on a file. Those of one owner and kind do not overlap. */
  readonly change: (ino: number, change: LockChange, note?: Note<void>) => Promise<void>;
  readonly removeMount: (mount: string) => Promise<void>;
}
