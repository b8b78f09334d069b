import {
  FuseError,
  fallocateKeepSize,
  fallocatePunchHole,
  fallocateZeroRange,
  renameExchange,
  renameNoReplace,
  seekData,
} from '@soulbox/fuse';
import type { Awaitable, FuseContext, FuseEntry, FuseFs, FuseOpen, FuseReplyValue } from '@soulbox/fuse';
import { constants } from 'node:fs';
import { nameBytesMax, targetBytesMax, xattrNameBytesMax, xattrValueBytesMax } from '../limits.ts';
import { fileType, folderType, isFolder, linkType, typeOf } from '../metadata/inode.ts';
import type { Inode } from '../metadata/inode.ts';
import type { Note } from '../metadata/metadata.ts';
import { after } from '../volume/read.ts';
import type { Volume } from '../volume/open.ts';
import { createReplies } from './replies.ts';
import { lockMethods } from './lock-methods.ts';
import { readFolder } from './read-folder.ts';

const { O_APPEND, O_EXCL, O_RDWR, O_TRUNC, O_WRONLY } = constants;
/** Those of xattr(7), without `system`. */
const xattrNamespaces = /^(user|trusted|security)\../;
/** All file handles are the same: each request names its file, so the next process needs no table of this one. */
const fh = 0;

export interface VolumeFsOptions {
  /** The name of the mount, which stays the same when another process takes it over. */
  readonly mount: string;
  /**
   * How long the kernel may keep names and attributes, asked for each answer. 0 while others than this mount may change
   * the volume.
   */
  readonly ttlMs: () => number;
  /** Locks are between all mounts of the volume. */
  readonly isShared?: boolean;
  readonly isReadOnly?: boolean;
}

/** A volume as a file system of one mount. */
export function createVolumeFs(
  volume: Volume,
  { mount, ttlMs, isShared = false, isReadOnly = false }: VolumeFsOptions,
): FuseFs {
  const { metadata, pins } = volume;
  const replies = createReplies(ttlMs);

  /** Pages may be kept as long as names may. The kernel asks at each close to release locks, unless they are its own. */
  const open = (): FuseOpen => ({ fh, keepCache: ttlMs() > 0, noFlush: !isShared });

  const known = (inode: Inode): FuseEntry => {
    pins.add(mount, inode.ino);
    return replies.entry(inode);
  };
  /** Answers to reads name nothing that a killed process would lose. */
  const settled = <T>(value: T): Awaitable<T> => {
    const open = metadata.settled();
    return open === undefined ? value : open.then(() => value);
  };
  const noteOf =
    <T>(context: FuseContext, valueOf: (result: T) => FuseReplyValue): Note<T> =>
    (result) => ({ mount, unique: context.unique, reply: context.encodeReply(valueOf(result)) });
  const nothing = (context: FuseContext): Note<unknown> => noteOf(context, () => undefined);
  const checkName = (name: Uint8Array): void => {
    if (name.length > nameBytesMax) throw new FuseError('ENAMETOOLONG');
    if (name.length === 0 || name.includes(0) || name.includes(47)) throw new FuseError('EINVAL');
  };
  const checkWritable = (): void => {
    if (isReadOnly || metadata.facts().isReadOnly) throw new FuseError('EROFS');
  };
  const checkChange = (name: Uint8Array): void => {
    checkName(name);
    checkWritable();
  };
  const get = (ino: number): Awaitable<Inode> =>
    after(metadata.find(ino), (inode) => {
      if (inode === undefined) throw new FuseError('ESTALE');
      return inode;
    });
  const checkXattr = (name: Uint8Array): void => {
    if (name.length > xattrNameBytesMax) throw new FuseError('ERANGE');
    // The kernel keeps access lists in these, which would have to be obeyed.
    if (Buffer.from(name).toString('latin1').startsWith('system.')) throw new FuseError('ENOTSUP');
  };
  /** For FUSE, the kernel leaves it to the server which namespaces there are. Earlier versions stored any name. */
  const checkNewXattr = (name: Uint8Array): void => {
    checkXattr(name);
    if (!xattrNamespaces.test(Buffer.from(name).toString('latin1'))) throw new FuseError('ENOTSUP');
  };
  const makeNode = async (
    parent: number,
    name: Buffer,
    node: { readonly mode: number; readonly rdev?: number; readonly target?: Buffer },
    context: FuseContext,
  ): Promise<FuseEntry> => {
    checkChange(name);
    const { uid, gid } = context;
    return known(await volume.create(parent, name, { uid, gid, ...node }, noteOf(context, replies.entry)));
  };
  const truncate = async (ino: number, killSuidgid: boolean): Promise<void> => {
    checkWritable();
    await volume.setAttributes(ino, { size: 0, killSuidgid });
  };

  return {
    init({ isTakeover }) {
      if (isTakeover) pins.adopt(mount, metadata.facts().firstOwnIno);
    },
    destroy: async () => {
      await volume.removeHolder(mount);
      await volume.sync();
    },
    findReply: (unique) => metadata.findReply(mount, unique),
    lookup(parent, name) {
      if (name.length > nameBytesMax) throw new FuseError('ENAMETOOLONG');
      const isDot = name.length === 1 && name[0] === 46;
      const isUp = name.length === 2 && name[0] === 46 && name[1] === 46;
      const found =
        isDot || isUp
          ? after(get(parent), (inode) => (isUp ? get(inode.parent) : inode))
          : metadata.lookup(parent, name);
      return after(found, (inode) => settled(inode === undefined ? replies.missing() : known(inode)));
    },
    forget: (ino) => {
      volume.forget(mount, ino);
    },
    getattr: (ino) => after(get(ino), (inode) => settled(replies.attr(inode))),
    async setattr(ino, { mode, uid, gid, size, atime, mtime, killSuidgid }, context) {
      checkWritable();
      const changes = {
        ...(mode === undefined ? {} : { mode }),
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
        ...(size === undefined ? {} : { size }),
        ...(atime === undefined ? {} : { atime }),
        ...(mtime === undefined ? {} : { mtime }),
        killSuidgid,
      };
      return replies.attr(await volume.setAttributes(ino, changes, noteOf(context, replies.attr)));
    },
    readlink: (ino) =>
      after(metadata.readTarget(ino), (target) => {
        if (target === undefined) throw new FuseError('EINVAL');
        return target;
      }),
    async symlink(parent, name, target, context) {
      if (target.length > targetBytesMax) throw new FuseError('ENAMETOOLONG');
      return await makeNode(parent, name, { mode: linkType | 0o777, target }, context);
    },
    mknod: (parent, name, mode, rdev, context) => makeNode(parent, name, { mode, rdev }, context),
    mkdir: (parent, name, mode, context) => makeNode(parent, name, { mode: folderType | (mode & ~0o170000) }, context),
    async unlink(parent, name, context) {
      checkChange(name);
      await volume.unlink(parent, name, nothing(context));
    },
    async rmdir(parent, name, context) {
      checkChange(name);
      await volume.removeFolder(parent, name, nothing(context));
    },
    async rename(parent, name, newParent, newName, flags, context) {
      checkChange(name);
      checkChange(newName);
      const mode = flags === renameExchange ? 'exchange' : flags === renameNoReplace ? 'keep' : 'replace';
      await volume.rename({ parent, name }, { parent: newParent, name: newName }, mode, nothing(context));
    },
    async link(ino, newParent, newName, context) {
      checkChange(newName);
      return known(await metadata.link(ino, newParent, newName, noteOf(context, replies.entry)));
    },
    async open(ino, flags, killSuidgid) {
      if ((flags & (O_WRONLY | O_RDWR)) !== 0) checkWritable();
      if ((flags & O_TRUNC) !== 0) await truncate(ino, killSuidgid);
      return open();
    },
    async create(parent, name, mode, flags, context) {
      checkChange(name);
      const { uid, gid } = context;
      const created = (inode: Inode): FuseReplyValue => ({ entry: replies.entry(inode), open: open() });
      try {
        const node = { mode: fileType | (mode & ~0o170000), uid, gid };
        return { entry: known(await volume.create(parent, name, node, noteOf(context, created))), open: open() };
      } catch (thrown) {
        if (!(thrown instanceof FuseError) || thrown.code !== 'EEXIST' || (flags & O_EXCL) !== 0) throw thrown;
      }
      // Another mount has made it since the kernel looked.
      const present = await metadata.lookup(parent, name);
      if (present === undefined) throw new FuseError('ESTALE');
      if (isFolder(present)) throw new FuseError('EISDIR');
      if (typeOf(present.mode) !== fileType) throw new FuseError('EEXIST');
      if ((flags & O_TRUNC) !== 0) await truncate(present.ino, false);
      return { entry: known(present), open: open() };
    },
    async tmpfile(parent, mode, _flags, context) {
      checkWritable();
      const { uid, gid } = context;
      const created = (inode: Inode): FuseReplyValue => ({ entry: replies.entry(inode), open: open() });
      const node = { mode: fileType | (mode & ~0o170000), uid, gid };
      return { entry: known(await metadata.createOrphan(parent, node, noteOf(context, created))), open: open() };
    },
    read: (ino, _fh, offset, size) => volume.read(ino, offset, size),
    write(ino, _fh, offset, data, { flags, isWriteback, killSuidgid }, context) {
      checkWritable();
      const isAppend = (flags & O_APPEND) !== 0 && !isWriteback;
      return volume.write(ino, data, {
        offset: isAppend ? 'end' : offset,
        killSuidgid,
        // Another write of the same bytes does no harm, unless it appends them.
        ...(isAppend ? { note: noteOf(context, () => data.length) } : {}),
      });
    },
    fsync: () => volume.sync(),
    fsyncdir: () => volume.sync(),
    async fallocate(ino, _fh, mode, offset, length) {
      checkWritable();
      const keepSize = (mode & fallocateKeepSize) !== 0;
      const rest = mode & ~fallocateKeepSize;
      if (rest === 0) await volume.allocate(ino, { offset, length, keepSize });
      else if (rest === fallocateZeroRange || (rest === fallocatePunchHole && keepSize))
        await volume.clear(ino, { offset, length, keepSize });
      else throw new FuseError('ENOTSUP');
    },
    lseek: (ino, _fh, offset, whence) => volume.seek(ino, offset, whence === seekData ? 'data' : 'hole'),
    release: () => undefined,
    opendir: () => ({ fh }),
    releasedir: () => undefined,
    readdir: (ino, _fh, cookie, maxEntries, plus) =>
      after(readFolder(metadata, ino, { cookie, maxEntries, entryOf: plus ? known : undefined }), settled),
    statfs: () => replies.statfs(metadata.facts(), volume.blocks.freeBytes()),
    async setxattr(ino, name, value, flags, context) {
      checkWritable();
      checkNewXattr(name);
      if (value.length > xattrValueBytesMax) throw new FuseError('E2BIG');
      const mode = flags === 1 ? 'create' : flags === 2 ? 'replace' : 'set';
      await metadata.setXattr(ino, name, value, mode, nothing(context));
    },
    getxattr: (ino, name) =>
      after(get(ino), (inode) => {
        checkXattr(name);
        return inode.xattrBytes === 0 ? undefined : metadata.getXattr(ino, name);
      }),
    listxattr: (ino) => after(get(ino), ({ xattrBytes }) => (xattrBytes === 0 ? [] : metadata.listXattrs(ino))),
    async removexattr(ino, name, context) {
      checkWritable();
      checkXattr(name);
      await metadata.removeXattr(ino, name, nothing(context));
    },
    ...(isShared ? lockMethods(volume.locks, mount) : {}),
  };
}
