import { FuseError, renameExchange, renameNoReplace, type FuseContext } from '../fuse-fs.ts';
import { createContent } from './content.ts';
import {
  firstSeq,
  keyOf,
  now,
  setgid,
  touch,
  types,
  type Entry,
  type FolderNode,
  type LinkNode,
  type Node,
} from './nodes.ts';

export interface Tree {
  readonly root: FolderNode;
  /** ESTALE for a node that is gone. */
  readonly node: (nodeId: number) => Node;
  /** ENOTDIR for anything else. */
  readonly folder: (nodeId: number) => FolderNode;
  readonly find: (folder: FolderNode, name: Buffer) => Entry | undefined;
  /** EEXIST, ENOSPC, or ENOENT for a folder that was removed. `name` undefined: a file without a name. */
  readonly make: (folder: FolderNode, name: Buffer | undefined, mode: number, more: MakeOptions) => Node;
  readonly link: (node: Node, folder: FolderNode, name: Buffer) => void;
  readonly unlink: (folder: FolderNode, name: Buffer, wantFolder: boolean) => void;
  readonly rename: (from: FolderNode, name: Buffer, to: FolderNode, newName: Buffer, flags: number) => void;
  readonly forget: (nodeId: number) => void;
  readonly count: () => number;
}

export interface MakeOptions {
  readonly context: Pick<FuseContext, 'uid' | 'gid'>;
  readonly target?: Buffer;
  readonly rdev?: number;
}

const noTarget = Buffer.alloc(0);
/** As ext4. */
const maxLinks = 65_000;

export function createTree(maxNodes: number, onRemove: (node: Node) => void): Tree {
  const nodes = new Map<number, Node>();
  let lastId = 0;

  function create(mode: number, { context, target = noTarget, rdev = 0 }: MakeOptions): Node {
    if (nodes.size >= maxNodes) throw new FuseError('ENOSPC');
    const id = (lastId += 1);
    const time = now();
    const base = {
      ...{ id, mode, uid: context.uid, gid: context.gid, nlink: 0, known: false },
      ...{ atime: time, mtime: time, ctime: time, xattrs: new Map<string, Buffer>() },
    };
    const type = mode & types.mask;
    let node: Node;
    if (type === types.folder) {
      // The parent of a folder without one is itself, as of the root.
      const made = { ...base, kind: 'folder', entries: new Map<string, Entry>(), lastSeq: firstSeq } as Omit<
        FolderNode,
        'parent'
      >;
      node = Object.assign(made, { parent: made as FolderNode });
    } else if (type === types.link) {
      node = { ...base, kind: 'link', target } satisfies LinkNode;
    } else if (type === types.file) {
      node = { ...base, kind: 'file', content: createContent() };
    } else {
      node = { ...base, kind: 'device', rdev };
    }
    nodes.set(id, node);
    return node;
  }

  function find(folder: FolderNode, name: Buffer): Entry | undefined {
    return folder.entries.get(keyOf(name));
  }

  /** Names a node. Its count of links, and that of the folder, follow. */
  function attach(folder: FolderNode, name: Buffer, node: Node): void {
    folder.lastSeq += 1;
    folder.entries.set(keyOf(name), { name, node, seq: folder.lastSeq });
    if (node.kind === 'folder') {
      node.parent = folder;
      node.nlink = 2;
      folder.nlink += 1;
    } else {
      node.nlink += 1;
    }
    node.ctime = now();
    touch(folder);
  }

  function detach(folder: FolderNode, { name, node }: Entry): void {
    folder.entries.delete(keyOf(name));
    if (node.kind === 'folder') {
      node.nlink = 0;
      folder.nlink -= 1;
    } else {
      node.nlink -= 1;
    }
    node.ctime = now();
    touch(folder);
  }

  function removeIfGone(node: Node): void {
    if (node.nlink > 0 || node.known) return;
    nodes.delete(node.id);
    onRemove(node);
  }

  /** The entry, checked for its removal by unlink or rmdir. */
  function removable(folder: FolderNode, name: Buffer, wantFolder: boolean): Entry {
    const entry = find(folder, name);
    if (entry === undefined) throw new FuseError('ENOENT');
    if (wantFolder && entry.node.kind !== 'folder') throw new FuseError('ENOTDIR');
    if (!wantFolder && entry.node.kind === 'folder') throw new FuseError('EISDIR');
    if (entry.node.kind === 'folder' && entry.node.entries.size > 0) throw new FuseError('ENOTEMPTY');
    return entry;
  }

  function isInside(folder: FolderNode, ancestor: Node): boolean {
    for (let at = folder; ; at = at.parent) {
      if (at === ancestor) return true;
      if (at.parent === at) return false;
    }
  }

  function usable(folder: FolderNode): void {
    if (folder.nlink === 0) throw new FuseError('ENOENT');
  }

  const root = create(types.folder | 0o755, { context: { uid: 0, gid: 0 } }) as FolderNode;
  root.nlink = 2;
  root.known = true;

  const node = (nodeId: number): Node => {
    const found = nodes.get(nodeId);
    if (found === undefined) throw new FuseError('ESTALE');
    return found;
  };

  return {
    root,
    node,
    folder: (nodeId) => {
      const found = node(nodeId);
      if (found.kind !== 'folder') throw new FuseError('ENOTDIR');
      return found;
    },
    find,
    make: (folder, name, mode, options) => {
      usable(folder);
      if (name !== undefined && find(folder, name) !== undefined) throw new FuseError('EEXIST');
      const inherits = (folder.mode & setgid) !== 0;
      const isFolder = (mode & types.mask) === types.folder;
      const made = create(inherits && isFolder ? mode | setgid : mode, {
        ...options,
        context: inherits ? { uid: options.context.uid, gid: folder.gid } : options.context,
      });
      if (name !== undefined) attach(folder, name, made);
      return made;
    },
    link: (target, folder, name) => {
      usable(folder);
      if (target.kind === 'folder') throw new FuseError('EPERM');
      if (find(folder, name) !== undefined) throw new FuseError('EEXIST');
      if (target.nlink >= maxLinks) throw new FuseError('EMLINK');
      attach(folder, name, target);
    },
    unlink: (folder, name, wantFolder) => {
      const entry = removable(folder, name, wantFolder);
      detach(folder, entry);
      removeIfGone(entry.node);
    },
    rename: (from, name, to, newName, flags) => {
      const entry = find(from, name);
      const other = find(to, newName);
      if (entry === undefined) throw new FuseError('ENOENT');
      usable(to);
      if ((flags & renameNoReplace) !== 0 && other !== undefined) throw new FuseError('EEXIST');
      if (isInside(to, entry.node)) throw new FuseError('EINVAL');
      if ((flags & renameExchange) !== 0) {
        if (other === undefined) throw new FuseError('ENOENT');
        if (isInside(from, other.node)) throw new FuseError('EINVAL');
        if (entry.node === other.node) return;
        detach(from, entry);
        detach(to, other);
        attach(to, newName, entry.node);
        attach(from, name, other.node);
        return;
      }
      // Two names of one file: nothing happens.
      if (other?.node === entry.node) return;
      if (other !== undefined) detach(to, removable(to, newName, entry.node.kind === 'folder'));
      detach(from, entry);
      attach(to, newName, entry.node);
      if (other !== undefined) removeIfGone(other.node);
    },
    forget: (nodeId) => {
      const found = nodes.get(nodeId);
      if (found === undefined) return;
      found.known = false;
      removeIfGone(found);
    },
    count: () => nodes.size,
  };
}
