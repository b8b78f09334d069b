import { FuseError } from '@soulbox/fuse';
import type { FuseTime } from '@soulbox/fuse';
import { depthMax, linksMax } from '../../limits.ts';
import { folderType, isFolder, rootIno, setgidBit, typeOf } from '../inode.ts';
import type { Inode } from '../inode.ts';
import type { NewNode, Place, RenameMode } from '../metadata.ts';
import type { Entries } from './entries.ts';
import type { Facts } from './facts.ts';
import type { Inodes } from './inodes.ts';

export interface NameTools {
  readonly facts: Facts;
  readonly inodes: Inodes;
  readonly entries: Entries;
  readonly now: () => FuseTime;
}

export interface Names {
  create(parent: number, name: Uint8Array, node: NewNode): Inode;
  createOrphan(parent: number, node: NewNode): Inode;
  link(ino: number, parent: number, name: Uint8Array): Inode;
  replace(ino: number, parent: number, name: Uint8Array): number | undefined;
  unlink(parent: number, name: Uint8Array): number | undefined;
  removeFolder(parent: number, name: Uint8Array): number | undefined;
  rename(from: Place, to: Place, mode: RenameMode): number | undefined;
}

/** Each function checks everything before its first change. */
export function sqliteNames(tools: NameTools): Names {
  const { facts, inodes, entries, now } = tools;

  const get = (parent: number, name: Uint8Array): Inode => {
    const inode = entries.find(parent, name);
    if (inode === undefined) throw new FuseError('ENOENT');
    return inode;
  };
  const isDot = (name: Uint8Array): boolean =>
    (name.length === 1 && name[0] === 46) || (name.length === 2 && name[0] === 46 && name[1] === 46);
  const checkNew = (parent: number, name: Uint8Array): void => {
    if (isDot(name) || entries.find(parent, name) !== undefined) throw new FuseError('EEXIST');
  };
  const takeSeq = (): number => facts.now.nextSeq++;

  const make = (folder: Inode, node: NewNode, nlink: number): Inode => {
    const time = now();
    const isInSetgid = (folder.mode & setgidBit) !== 0;
    const isNewFolder = typeOf(node.mode) === folderType;
    const target = node.target;
    const inode: Inode = {
      ino: facts.now.nextIno++,
      mode: node.mode | (isInSetgid && isNewFolder ? setgidBit : 0),
      uid: node.uid,
      gid: isInSetgid ? folder.gid : node.gid,
      nlink,
      size: target?.length ?? 0,
      allocated: target?.length ?? 0,
      rdev: node.rdev ?? 0,
      atime: time,
      mtime: time,
      ctime: time,
      parent: isNewFolder ? folder.ino : 0,
      xattrBytes: 0,
    };
    inodes.insert(inode, target);
    facts.grow({ bytes: inode.allocated, inodes: 1 });
    return inode;
  };
  /** A folder whose list has changed; `links` counts folders that came or went. */
  const note = (ino: number, links: number): void => {
    const folder = inodes.get(ino);
    const time = now();
    inodes.put({ ...folder, nlink: folder.nlink + links, mtime: time, ctime: time });
  };
  /** The inode has one name less. Returns it if it has none any more. */
  const drop = (inode: Inode): number | undefined => {
    const nlink = isFolder(inode) ? 0 : inode.nlink - 1;
    inodes.put({ ...inode, nlink, ctime: now() });
    if (nlink === 0) return inode.ino;
    facts.grow({ bytes: 0, inodes: -1 });
    return undefined;
  };
  const checkNotInside = (folder: number, moved: number): void => {
    let ino = folder;
    for (let depth = 0; ino !== rootIno; depth += 1) {
      if (ino === moved) throw new FuseError('EINVAL');
      if (depth > depthMax) throw new FuseError('ELOOP');
      ino = inodes.get(ino).parent;
    }
  };
  const checkReplaceable = (source: Inode, target: Inode): void => {
    if (isFolder(target)) {
      if (!isFolder(source)) throw new FuseError('EISDIR');
      if (!entries.isEmpty(target.ino)) throw new FuseError('ENOTEMPTY');
    } else if (isFolder(source)) throw new FuseError('ENOTDIR');
  };
  const links = (inode: Inode): number => (isFolder(inode) ? 1 : 0);
  const moveTo = (inode: Inode, parent: number): void => {
    inodes.put({ ...inodes.get(inode.ino), parent: isFolder(inode) ? parent : 0, ctime: now() });
  };

  const exchange = (from: Place, to: Place, source: Inode, target: Inode): void => {
    if (isFolder(target)) checkNotInside(from.parent, target.ino);
    if (source.ino === target.ino) return;
    entries.replace(from.parent, from.name, target.ino);
    entries.replace(to.parent, to.name, source.ino);
    const moved = links(source) - links(target);
    note(from.parent, from.parent === to.parent ? 0 : -moved);
    if (from.parent !== to.parent) note(to.parent, moved);
    moveTo(source, to.parent);
    moveTo(target, from.parent);
  };

  const checkLinkable = (ino: number): Inode => {
    const inode = inodes.get(ino);
    if (isFolder(inode)) throw new FuseError('EPERM');
    if (inode.nlink >= linksMax) throw new FuseError('EMLINK');
    // An orphan is counted already.
    if (inode.nlink > 0) facts.checkRoom({ bytes: 0, inodes: 1 });
    return inode;
  };
  const addName = (ino: number, parent: number, name: Uint8Array): Inode => {
    const inode = checkLinkable(ino);
    const linked = { ...inode, nlink: inode.nlink + 1, ctime: now() };
    inodes.put(linked);
    entries.insert(parent, name, ino, takeSeq());
    facts.grow({ bytes: 0, inodes: inode.nlink > 0 ? 1 : 0 });
    note(parent, 0);
    return linked;
  };

  return {
    create(parent, name, node) {
      const folder = inodes.getFolder(parent);
      checkNew(parent, name);
      facts.checkRoom({ bytes: node.target?.length ?? 0, inodes: 1 });
      const isNewFolder = typeOf(node.mode) === folderType;
      const inode = make(folder, node, isNewFolder ? 2 : 1);
      entries.insert(parent, name, inode.ino, takeSeq());
      note(parent, isNewFolder ? 1 : 0);
      return inode;
    },
    createOrphan(parent, node) {
      const folder = inodes.getFolder(parent);
      facts.checkRoom({ bytes: 0, inodes: 1 });
      return make(folder, node, 0);
    },
    link(ino, parent, name) {
      inodes.get(ino);
      inodes.getFolder(parent);
      checkNew(parent, name);
      return addName(ino, parent, name);
    },
    replace(ino, parent, name) {
      inodes.getFolder(parent);
      if (isDot(name)) throw new FuseError('EISDIR');
      const target = entries.find(parent, name);
      if (target !== undefined && isFolder(target)) throw new FuseError('EISDIR');
      checkLinkable(ino);
      if (target !== undefined) entries.remove(parent, name);
      addName(ino, parent, name);
      return target === undefined ? undefined : drop(target);
    },
    unlink(parent, name) {
      inodes.getFolder(parent);
      const inode = get(parent, name);
      if (isFolder(inode)) throw new FuseError('EISDIR');
      entries.remove(parent, name);
      note(parent, 0);
      return drop(inode);
    },
    removeFolder(parent, name) {
      if (isDot(name)) throw new FuseError(name.length === 1 ? 'EINVAL' : 'ENOTEMPTY');
      inodes.getFolder(parent);
      const inode = get(parent, name);
      if (!isFolder(inode)) throw new FuseError('ENOTDIR');
      if (!entries.isEmpty(inode.ino)) throw new FuseError('ENOTEMPTY');
      entries.remove(parent, name);
      note(parent, -1);
      return drop(inode);
    },
    rename(from, to, mode) {
      if (isDot(from.name) || isDot(to.name)) throw new FuseError('EBUSY');
      inodes.getFolder(from.parent);
      inodes.getFolder(to.parent);
      const source = get(from.parent, from.name);
      const target = entries.find(to.parent, to.name);
      if (isFolder(source)) checkNotInside(to.parent, source.ino);
      if (mode === 'exchange') {
        if (target === undefined) throw new FuseError('ENOENT');
        exchange(from, to, source, target);
        return undefined;
      }
      if (target !== undefined) {
        if (mode === 'keep') throw new FuseError('EEXIST');
        // Two names of one file: nothing happens, as POSIX wants it.
        if (target.ino === source.ino) return undefined;
        checkReplaceable(source, target);
        entries.remove(to.parent, to.name);
      }
      entries.remove(from.parent, from.name);
      entries.insert(to.parent, to.name, source.ino, takeSeq());
      const replaced = target === undefined ? 0 : links(target);
      const moved = links(source);
      if (from.parent === to.parent) note(from.parent, -replaced);
      else {
        note(from.parent, -moved);
        note(to.parent, moved - replaced);
      }
      moveTo(source, to.parent);
      return target === undefined ? undefined : drop(target);
    },
  };
}
