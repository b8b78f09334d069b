/**
 * The interface between the kernel and a file system. The session decodes what the kernel asks, calls one method, and
 * encodes what it returns.
 *
 * - A method returns its result or a promise of it. A plain value is answered without a turn of the event loop.
 * - It fails by throwing a `FuseError`. Any other error is answered with EIO and reported to `onFault` of the session.
 * - A method that is absent is answered with ENOSYS. The kernel then has a default for most, and stops asking.
 * - Names are bytes: they need not be UTF-8. They have 1 to 255 bytes, no zero and no slash. `.` and `..` only reach
 *   `lookup`, by export of node ids.
 * - The kernel checks permissions by mode, uid and gid (`default_permissions`). The sticky bit is a part of that.
 * - A method must never touch a path below its own mount: it would wait for itself.
 */

export type Awaitable<T> = T | Promise<T>;

/** `nsec` is 0 to 999,999,999, also before 1970. */
export interface FuseTime {
  readonly sec: number;
  readonly nsec: number;
}

/** What `stat` shows. Sizes are safe integers: the session refuses larger ones of the kernel with EFBIG. */
export interface FuseAttr {
  readonly ino: number;
  readonly size: number;
  /** Of 512 bytes each. */
  readonly blocks: number;
  readonly atime: FuseTime;
  readonly mtime: FuseTime;
  readonly ctime: FuseTime;
  /** Type and permissions, such as 0o100644. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a device, as the kernel encodes it; else 0. */
  readonly rdev: number;
  readonly blksize: number;
}

/** How long the kernel may answer by itself. 0 makes it ask each time. */
export interface FuseAttrReply {
  readonly attr: FuseAttr;
  readonly attrTtlMs: number;
}

/**
 * A name that was resolved. Each one returned adds one to the lookup count of the node, which the session keeps; see
 * `forget`.
 */
export interface FuseEntry extends FuseAttrReply {
  /** 1 is the root. A safe integer, never reused for another file while `generation` is the same. */
  readonly nodeId: number;
  readonly generation: number;
  readonly entryTtlMs: number;
}

/** A name that does not exist, which the kernel may remember. */
export interface FuseNegativeEntry {
  readonly nodeId: 0;
  readonly entryTtlMs: number;
}

export interface FuseOpen {
  /** A safe integer that later requests carry. After a takeover, requests carry those of the process before. */
  readonly fh: number;
  /** The kernel keeps the pages that it has of this file. */
  readonly keepCache?: boolean;
  /** Reads and writes bypass the page cache. Shared writable mappings are then refused. */
  readonly directIo?: boolean;
  /** No `flush` at close. For files without POSIX locks whose close reports no errors. */
  readonly noFlush?: boolean;
  /** For folders: the kernel may keep the list until it is invalidated. */
  readonly cacheDir?: boolean;
  /** With `directIo`: writes of one file may come at once. */
  readonly parallelDirectWrites?: boolean;
}

export interface FuseCreated {
  readonly entry: FuseEntry;
  readonly open: FuseOpen;
}

export interface FuseDirEntry {
  readonly name: Uint8Array;
  readonly ino: number;
  /** The type bits of a mode: `mode & 0o170000`. */
  readonly type: number;
  /**
   * Where a list continues after this entry. It must stay valid while other entries come and go: a number that grows
   * with each new entry of the folder, not an index. 0 is the beginning.
   */
  readonly cookie: number;
  /** For `readdirplus`: as by `lookup`. Absent for `.`, `..`, and whatever is too expensive to look up. */
  readonly entry?: FuseEntry;
}

/** What `setattr` changes. Absent fields stay. */
export interface FuseSetattr {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly atime?: FuseTime | 'now';
  readonly mtime?: FuseTime | 'now';
  /** Only with the write-back cache. */
  readonly ctime?: FuseTime;
  /** Of an open file, for ftruncate. */
  readonly fh?: number;
  /** Clear setuid, and setgid where the group may execute: the caller has no privilege. */
  readonly killSuidgid: boolean;
}

/** The end of a range that has none, such as a lock to the end of the file. */
export const noEnd = Number.MAX_SAFE_INTEGER;

export interface FuseLock {
  readonly type: 'read' | 'write' | 'none';
  /** First and last byte, both inclusive. `end` is `noEnd` for a lock to the end of the file. */
  readonly start: number;
  readonly end: number;
  /** As the kernel sees it in the pid namespace of the mount; 0 if it is not visible there. */
  readonly pid: number;
}

/** Who holds a lock: 16 hexadecimal digits, without a meaning of their own. */
export type FuseLockOwner = string;

export interface FuseStatfs {
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly bsize: number;
  readonly frsize: number;
  readonly namelen: number;
}

/** Each method that changes something has one, and how it can encode its answer. */
export type FuseReplyValue = FuseEntry | FuseAttrReply | FuseCreated | FuseOpen | number | undefined;

/** One request, and who makes it. */
export interface FuseContext {
  readonly uid: number;
  readonly gid: number;
  /** 0 for a process that is not visible in the pid namespace of the mount, and for the kernel's own requests. */
  readonly pid: number;
  /** Unique among the requests of one mount. A new mount begins again. */
  readonly unique: number;
  /**
   * The kernel sends the request a second time, because the process that read it ended without a reply. It may have
   * been carried out. `findReply` answers those that were.
   */
  readonly isResent: boolean;
  /** Aborts when the caller is interrupted by a signal, and when the session ends. Made when it is first read. */
  readonly signal: AbortSignal;
  /**
   * The bytes of the answer that this request will have if its method returns `value`: to be stored in the same
   * transaction as the change, with `unique`, for `findReply`.
   */
  readonly encodeReply: (value: FuseReplyValue) => Buffer;
}

/**
 * Tells the kernel what it must not remember. The promises resolve when it has done so, also for nodes that it does not
 * know. The kernel first waits for requests that hold the node or the folder locked: a method that awaits one of these
 * before it answers such a request waits for ever. One call per session is in the kernel at once; further ones wait
 * for it.
 */
export interface FuseNotify {
  /** Drops the attributes, and the pages of a range: all with offset 0 and length 0, none with a negative offset. */
  readonly invalidateNode: (nodeId: number, offset: number, length: number) => Promise<void>;
  /** Drops a name. */
  readonly invalidateEntry: (parent: number, name: Uint8Array) => Promise<void>;
}

export interface FuseMountInfo {
  /** The connection has been used by a process before this one. Open files, locks and lookup counts are its. */
  readonly isTakeover: boolean;
  readonly maxWriteBytes: number;
  readonly notify: FuseNotify;
}

/** Bits of `flags` of `rename`. The session refuses other ones with EINVAL. */
export const renameNoReplace = 1;
export const renameExchange = 2;

/** Bits of `mode` of `fallocate`. */
export const fallocateKeepSize = 1;
export const fallocatePunchHole = 2;
export const fallocateZeroRange = 16;

/** Values of `whence` of `lseek`. The kernel computes the other ones. */
export const seekData = 3;
export const seekHole = 4;

/** Bits of `flags` of `setxattr`. */
export const xattrCreate = 1;
export const xattrReplace = 2;

export interface FuseFs {
  /** Called before the first request. */
  readonly init?: (info: FuseMountInfo) => Awaitable<void>;
  /** Called once at the end, after the last request. Not called if the process is killed. */
  readonly destroy?: () => Awaitable<void>;
  /**
   * The answer of a resent request, if it was carried out: what `encodeReply` gave. Without this method, and for
   * `undefined`, the request runs again. An fs keeps the answers of as many last requests as the session handles at once
   * (`maxConcurrent`); those of another mount do not count.
   */
  readonly findReply?: (unique: number) => Awaitable<Uint8Array | undefined>;

  // Names and attributes.

  /** A missing name is a `FuseNegativeEntry`, or ENOENT, which the kernel does not remember. */
  readonly lookup: (parent: number, name: Buffer, context: FuseContext) => Awaitable<FuseEntry | FuseNegativeEntry>;
  /**
   * The kernel no longer knows the node. The session has added up the counts. The number of the node may be asked for
   * later only if `lookup` gives it again. A file without names is deleted here.
   */
  readonly forget?: (nodeId: number) => void;
  readonly getattr: (nodeId: number, fh: number | undefined, context: FuseContext) => Awaitable<FuseAttrReply>;
  readonly setattr?: (nodeId: number, changes: FuseSetattr, context: FuseContext) => Awaitable<FuseAttrReply>;
  readonly readlink?: (nodeId: number, context: FuseContext) => Awaitable<Uint8Array>;
  readonly symlink?: (parent: number, name: Buffer, target: Buffer, context: FuseContext) => Awaitable<FuseEntry>;
  /** `mode` has the type; the caller's umask is applied already. */
  readonly mknod?: (
    parent: number,
    name: Buffer,
    mode: number,
    rdev: number,
    context: FuseContext,
  ) => Awaitable<FuseEntry>;
  readonly mkdir?: (parent: number, name: Buffer, mode: number, context: FuseContext) => Awaitable<FuseEntry>;
  readonly unlink?: (parent: number, name: Buffer, context: FuseContext) => Awaitable<void>;
  readonly rmdir?: (parent: number, name: Buffer, context: FuseContext) => Awaitable<void>;
  readonly rename?: (
    parent: number,
    name: Buffer,
    newParent: number,
    newName: Buffer,
    flags: number,
    context: FuseContext,
  ) => Awaitable<void>;
  readonly link?: (nodeId: number, newParent: number, newName: Buffer, context: FuseContext) => Awaitable<FuseEntry>;

  // Files. `flags` are those of open(2); the kernel has handled O_CREAT and O_EXCL.

  /** O_TRUNC arrives here (ATOMIC_O_TRUNC). */
  readonly open?: (nodeId: number, flags: number, killSuidgid: boolean, context: FuseContext) => Awaitable<FuseOpen>;
  readonly create?: (
    parent: number,
    name: Buffer,
    mode: number,
    flags: number,
    context: FuseContext,
  ) => Awaitable<FuseCreated>;
  /** A file without a name (O_TMPFILE). `link` may name it later. */
  readonly tmpfile?: (parent: number, mode: number, flags: number, context: FuseContext) => Awaitable<FuseCreated>;
  /** At most `size` bytes; fewer at the end of the file only. Several pieces are answered without joining them. */
  readonly read?: (
    nodeId: number,
    fh: number,
    offset: number,
    size: number,
    context: FuseContext,
  ) => Awaitable<Uint8Array | readonly Uint8Array[]>;
  /**
   * `data` is a view that is valid until the method returns, and its promise is settled. `flags` are those of the open
   * file: with O_APPEND and several mounts, the fs chooses the offset. Returns how many bytes were taken.
   */
  readonly write?: (
    nodeId: number,
    fh: number,
    offset: number,
    data: Buffer,
    options: FuseWriteOptions,
    context: FuseContext,
  ) => Awaitable<number>;
  /** At each close of a descriptor. Releases the POSIX locks of the owner. */
  readonly flush?: (nodeId: number, fh: number, owner: FuseLockOwner, context: FuseContext) => Awaitable<void>;
  /** After the last close. `flockOwner` has a flock to be released. Nobody waits for it, or reads its error. */
  readonly release?: (
    nodeId: number,
    fh: number,
    flockOwner: FuseLockOwner | undefined,
    context: FuseContext,
  ) => Awaitable<void>;
  readonly fsync?: (nodeId: number, fh: number, dataOnly: boolean, context: FuseContext) => Awaitable<void>;
  readonly fallocate?: (
    nodeId: number,
    fh: number,
    mode: number,
    offset: number,
    length: number,
    context: FuseContext,
  ) => Awaitable<void>;
  /** ENXIO at and behind the end of the file. */
  readonly lseek?: (
    nodeId: number,
    fh: number,
    offset: number,
    whence: number,
    context: FuseContext,
  ) => Awaitable<number>;

  // Folders.

  readonly opendir?: (nodeId: number, flags: number, context: FuseContext) => Awaitable<FuseOpen>;
  /**
   * The entries behind a cookie, with `.` and `..`. The session takes as many as fit, at most `maxEntries`, so a lazy
   * iterable saves work. `plus`: each entry should have its `entry`.
   */
  readonly readdir?: (
    nodeId: number,
    fh: number,
    cookie: number,
    maxEntries: number,
    plus: boolean,
    context: FuseContext,
  ) => Awaitable<Iterable<FuseDirEntry>>;
  readonly releasedir?: (nodeId: number, fh: number, context: FuseContext) => Awaitable<void>;
  readonly fsyncdir?: (nodeId: number, fh: number, dataOnly: boolean, context: FuseContext) => Awaitable<void>;

  readonly statfs?: (nodeId: number, context: FuseContext) => Awaitable<FuseStatfs>;

  // Extended attributes. At most 65,536 bytes each, and for the list.

  readonly setxattr?: (
    nodeId: number,
    name: Buffer,
    value: Buffer,
    flags: number,
    context: FuseContext,
  ) => Awaitable<void>;
  /** `undefined` is answered with ENODATA. The session compares the length with what the caller can take. */
  readonly getxattr?: (nodeId: number, name: Buffer, context: FuseContext) => Awaitable<Uint8Array | undefined>;
  readonly listxattr?: (nodeId: number, context: FuseContext) => Awaitable<readonly Uint8Array[]>;
  readonly removexattr?: (nodeId: number, name: Buffer, context: FuseContext) => Awaitable<void>;

  // Locks between mounts. Only asked for if the session is opened with `locks: true`; else the kernel does them.

  /** The lock that would prevent this one, or `undefined`. */
  readonly getlk?: (
    nodeId: number,
    fh: number,
    owner: FuseLockOwner,
    lock: FuseLock,
    context: FuseContext,
  ) => Awaitable<FuseLock | undefined>;
  /** EAGAIN if another owner prevents it. `wait`: until it is granted, or EINTR when `context.signal` aborts. */
  readonly setlk?: (
    nodeId: number,
    fh: number,
    owner: FuseLockOwner,
    lock: FuseLock,
    wait: boolean,
    context: FuseContext,
  ) => Awaitable<void>;
  /** The same for flock(2), which is independent of POSIX locks and of ranges. */
  readonly flock?: (
    nodeId: number,
    fh: number,
    owner: FuseLockOwner,
    type: FuseLock['type'],
    wait: boolean,
    context: FuseContext,
  ) => Awaitable<void>;
}

export interface FuseWriteOptions {
  /** Those of open(2). */
  readonly flags: number;
  /** From the page cache: of an earlier write, for which uid, gid and pid of the context do not stand. */
  readonly isWriteback: boolean;
  readonly killSuidgid: boolean;
}

export type FuseErrorCode =
  | 'E2BIG'
  | 'EACCES'
  | 'EAGAIN'
  | 'EBADF'
  | 'EBUSY'
  | 'EDEADLK'
  | 'EDQUOT'
  | 'EEXIST'
  | 'EFBIG'
  | 'EINTR'
  | 'EINVAL'
  | 'EIO'
  | 'EISDIR'
  | 'ELOOP'
  | 'EMFILE'
  | 'EMLINK'
  | 'ENAMETOOLONG'
  | 'ENFILE'
  | 'ENODATA'
  | 'ENODEV'
  | 'ENOENT'
  | 'ENOLCK'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'ENOSYS'
  | 'ENOTDIR'
  | 'ENOTEMPTY'
  | 'ENOTSUP'
  | 'ENOTTY'
  | 'ENXIO'
  | 'EOVERFLOW'
  | 'EPERM'
  | 'ERANGE'
  | 'EROFS'
  | 'ESTALE'
  | 'ETIMEDOUT'
  | 'ETXTBSY'
  | 'EXDEV';

/** What the caller gets as `errno`. The message is for logs only. */
export class FuseError extends Error {
  readonly code: FuseErrorCode;

  constructor(code: FuseErrorCode, message: string = code) {
    super(message);
    this.name = 'FuseError';
    this.code = code;
  }
}
