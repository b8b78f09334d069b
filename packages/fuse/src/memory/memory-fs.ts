import {
  fallocateKeepSize,
  fallocatePunchHole,
  fallocateZeroRange,
  FuseError,
  seekData,
  xattrCreate,
  xattrReplace,
  type FuseAttrReply,
  type FuseDirEntry,
  type FuseEntry,
  type FuseFs,
  type FuseOpen,
  type FuseSetattr,
} from '../fuse-fs.ts';
import { createLockTable } from '../locks/lock-table.ts';
import {
  attrOf,
  dropPrivileges,
  fileOf,
  keyOf,
  now,
  touch,
  types,
  type Entry,
  type FileNode,
  type FolderNode,
  type Node,
} from './nodes.ts';
import { createTree } from './tree.ts';

export interface MemoryFsOptions {
  /** Of all files together, in blocks of 16 KiB. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Files, folders and links. Default 100,000. */
  readonly maxNodes?: number;
  /** How long the kernel may remember names and attributes. Default one hour; 0 if there are several mounts. */
  readonly ttlMs?: number;
  /** Locks between mounts, which must then be mounted with `locks`, too. Default false. */
  readonly locks?: boolean;
}

const truncates = 0o1000;
const isAccessList = (key: string): boolean => key.startsWith('system.posix_acl_');
/** Those of xattr(7) that have no meaning for the kernel here, which leaves it to the server to refuse others. */
const xattrNamespaces = /^(user|trusted|security)\../;
/** Of the attributes of one file together. */
const maxXattrBytes = 65_536;

/**
 * A whole file system in memory, as an example and for tests: hard links, renames with flags, files without names,
 * extended attributes, holes, locks. It can be mounted more than once.
 */
export function createMemoryFs(options: MemoryFsOptions = {}): FuseFs {
  const { maxBytes = 256 * 1024 * 1024, maxNodes = 100_000, ttlMs = 3_600_000, locks: hasLocks = false } = options;
  let usedBytes = 0;
  const tree = createTree(maxNodes, (node) => {
    if (node.kind === 'file') usedBytes -= node.content.allocatedBytes();
  });
  const locks = createLockTable();
  /** What an open folder listed first; a list that goes on must not see entries twice. */
  const lists = new Map<number, readonly Entry[]>();
  let lastFh = 0;

  const attrReply = (node: Node): FuseAttrReply => ({ attr: attrOf(node), attrTtlMs: ttlMs });
  const entryOf = (node: Node): FuseEntry => {
    node.known = true;
    return { nodeId: node.id, generation: 0, entryTtlMs: ttlMs, ...attrReply(node) };
  };
  const openOf = (node: FileNode): FuseOpen => ({ fh: node.id, keepCache: ttlMs > 0, noFlush: !hasLocks });

  /** Changes content, and counts what it takes. */
  function change(node: FileNode, more: number, action: () => void): void {
    if (more > 0 && usedBytes + more > maxBytes) throw new FuseError('ENOSPC');
    const before = node.content.allocatedBytes();
    action();
    usedBytes += node.content.allocatedBytes() - before;
    touch(node);
  }

  function truncate(node: FileNode, size: number, killSuidgid: boolean): void {
    change(node, 0, () => node.content.resize(size));
    dropPrivileges(node, killSuidgid);
  }

  function setattr(node: Node, changes: FuseSetattr): void {
    if (changes.size !== undefined) truncate(fileOf(node), changes.size, changes.killSuidgid);
    if (changes.mode !== undefined) node.mode = (node.mode & types.mask) | (changes.mode & 0o7777);
    if (changes.uid !== undefined || changes.gid !== undefined) {
      node.uid = changes.uid ?? node.uid;
      node.gid = changes.gid ?? node.gid;
      dropPrivileges(node, changes.mode === undefined);
    }
    if (changes.atime !== undefined) node.atime = changes.atime === 'now' ? now() : changes.atime;
    if (changes.mtime !== undefined) node.mtime = changes.mtime === 'now' ? now() : changes.mtime;
    node.ctime = changes.ctime ?? now();
  }

  function* listFrom(
    folder: FolderNode,
    list: readonly Entry[],
    cookie: number,
    plus: boolean,
  ): Generator<FuseDirEntry> {
    const dots = [
      { name: Buffer.from('.'), ino: folder.id, type: types.folder, cookie: 1 },
      { name: Buffer.from('..'), ino: folder.parent.id, type: types.folder, cookie: 2 },
    ];
    yield* dots.slice(cookie);
    let low = 0;
    for (let high = list.length; low < high;) {
      const middle = (low + high) >> 1;
      if ((list[middle]?.seq ?? 0) > cookie) high = middle;
      else low = middle + 1;
    }
    for (const { name, node, seq } of list.slice(low)) {
      // Removed since the list began.
      if (folder.entries.get(keyOf(name))?.seq !== seq) continue;
      yield { name, ino: node.id, type: node.mode, cookie: seq, ...(plus && { entry: entryOf(node) }) };
    }
  }

  return {
    lookup: (parent, name) => {
      const folder = tree.folder(parent);
      if (name.equals(Buffer.from('.'))) return entryOf(folder);
      if (name.equals(Buffer.from('..'))) return entryOf(folder.parent);
      const entry = tree.find(folder, name);
      return entry === undefined ? { nodeId: 0, entryTtlMs: ttlMs } : entryOf(entry.node);
    },
    forget: tree.forget,
    getattr: (nodeId) => attrReply(tree.node(nodeId)),
    setattr: (nodeId, changes) => {
      const node = tree.node(nodeId);
      setattr(node, changes);
      return attrReply(node);
    },
    statfs: () => ({
      ...{ bsize: 4096, frsize: 4096, namelen: 255, blocks: Math.floor(maxBytes / 4096) },
      ...{ bfree: Math.floor((maxBytes - usedBytes) / 4096), bavail: Math.floor((maxBytes - usedBytes) / 4096) },
      ...{ files: maxNodes, ffree: maxNodes - tree.count() },
    }),

    readlink: (nodeId) => {
      const node = tree.node(nodeId);
      if (node.kind !== 'link') throw new FuseError('EINVAL');
      return node.target;
    },
    symlink: (parent, name, target, context) =>
      entryOf(tree.make(tree.folder(parent), name, types.link | 0o777, { context, target })),
    mknod: (parent, name, mode, rdev, context) =>
      entryOf(tree.make(tree.folder(parent), name, mode, { context, rdev })),
    mkdir: (parent, name, mode, context) =>
      entryOf(tree.make(tree.folder(parent), name, types.folder | (mode & 0o7777), { context })),
    unlink: (parent, name) => tree.unlink(tree.folder(parent), name, false),
    rmdir: (parent, name) => tree.unlink(tree.folder(parent), name, true),
    rename: (parent, name, newParent, newName, flags) =>
      tree.rename(tree.folder(parent), name, tree.folder(newParent), newName, flags),
    link: (nodeId, newParent, newName) => {
      const node = tree.node(nodeId);
      tree.link(node, tree.folder(newParent), newName);
      return entryOf(node);
    },

    open: (nodeId, flags, killSuidgid) => {
      const node = fileOf(tree.node(nodeId));
      if ((flags & truncates) !== 0) truncate(node, 0, killSuidgid);
      return openOf(node);
    },
    create: (parent, name, mode, _flags, context) => {
      const node = tree.make(tree.folder(parent), name, types.file | (mode & 0o7777), { context }) as FileNode;
      return { entry: entryOf(node), open: openOf(node) };
    },
    tmpfile: (parent, mode, _flags, context) => {
      const node = tree.make(tree.folder(parent), undefined, types.file | (mode & 0o7777), { context }) as FileNode;
      return { entry: entryOf(node), open: openOf(node) };
    },
    read: (nodeId, _fh, offset, size) => fileOf(tree.node(nodeId)).content.read(offset, size),
    write: (nodeId, _fh, offset, data, { killSuidgid }) => {
      const node = fileOf(tree.node(nodeId));
      change(node, node.content.missingBytes(offset, data.length), () => node.content.write(offset, data));
      dropPrivileges(node, killSuidgid);
      return data.length;
    },
    flush: (nodeId, _fh, owner) => locks.releaseOwner(nodeId, owner),
    release: (nodeId, _fh, flockOwner) => {
      if (flockOwner !== undefined) void locks.flock(nodeId, flockOwner, 'none');
    },
    fsync: () => undefined,
    fallocate: (nodeId, _fh, mode, offset, length) => {
      const node = fileOf(tree.node(nodeId));
      const { content } = node;
      if ((mode & ~(fallocateKeepSize | fallocatePunchHole | fallocateZeroRange)) !== 0) throw new FuseError('ENOTSUP');
      if (offset + length - content.size() > maxBytes) throw new FuseError('ENOSPC');
      change(node, 0, () => {
        if ((mode & (fallocatePunchHole | fallocateZeroRange)) !== 0) content.punch(offset, length);
        if ((mode & fallocateKeepSize) === 0 && offset + length > content.size()) content.resize(offset + length);
      });
    },
    lseek: (nodeId, _fh, offset, whence) => {
      const { content } = fileOf(tree.node(nodeId));
      if (offset >= content.size()) throw new FuseError('ENXIO');
      const found = whence === seekData ? content.seekData(offset) : content.seekHole(offset);
      if (found === undefined) throw new FuseError('ENXIO');
      return found;
    },

    opendir: (nodeId) => {
      tree.folder(nodeId);
      lastFh += 1;
      return { fh: lastFh, keepCache: ttlMs > 0, cacheDir: ttlMs > 0 };
    },
    readdir: (nodeId, fh, cookie, _maxEntries, plus) => {
      const folder = tree.folder(nodeId);
      let list = lists.get(fh);
      if (cookie === 0 || list === undefined) lists.set(fh, (list = [...folder.entries.values()]));
      return listFrom(folder, list, cookie, plus);
    },
    releasedir: (_nodeId, fh) => void lists.delete(fh),
    fsyncdir: () => undefined,

    setxattr: (nodeId, name, value, flags) => {
      const { xattrs } = tree.node(nodeId);
      const key = keyOf(name);
      if (!xattrNamespaces.test(key)) throw new FuseError('ENOTSUP');
      if ((flags & xattrCreate) !== 0 && xattrs.has(key)) throw new FuseError('EEXIST');
      if ((flags & xattrReplace) !== 0 && !xattrs.has(key)) throw new FuseError('ENODATA');
      let bytes = key.length + value.length;
      for (const [other, held] of xattrs) if (other !== key) bytes += other.length + held.length;
      if (bytes > maxXattrBytes) throw new FuseError('ENOSPC');
      xattrs.set(key, value);
      tree.node(nodeId).ctime = now();
    },
    getxattr: (nodeId, name) => {
      if (isAccessList(keyOf(name))) throw new FuseError('ENOTSUP');
      return tree.node(nodeId).xattrs.get(keyOf(name));
    },
    listxattr: (nodeId) => [...tree.node(nodeId).xattrs.keys()].map((key) => Buffer.from(key, 'latin1')),
    removexattr: (nodeId, name) => {
      const node = tree.node(nodeId);
      if (isAccessList(keyOf(name))) throw new FuseError('ENOTSUP');
      if (!node.xattrs.delete(keyOf(name))) throw new FuseError('ENODATA');
      node.ctime = now();
    },

    ...(hasLocks &&
      ({
        getlk: (nodeId, _fh, owner, lock) => locks.test(nodeId, owner, lock),
        setlk: (nodeId, _fh, owner, lock, wait, context) =>
          locks.set(nodeId, owner, lock, wait ? context.signal : undefined),
        flock: (nodeId, _fh, owner, type, wait, context) =>
          locks.flock(nodeId, owner, type, wait ? context.signal : undefined),
      } satisfies Partial<FuseFs>)),
  };
}
