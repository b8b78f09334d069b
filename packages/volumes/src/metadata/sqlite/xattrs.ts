import type { DatabaseSync } from 'node:sqlite';
import { FuseError } from '@soulbox/fuse';
import type { FuseTime } from '@soulbox/fuse';
import { xattrBytesMax } from '../../limits.ts';
import type { Facts } from './facts.ts';
import type { Inodes } from './inodes.ts';

export interface Xattrs {
  get(ino: number, name: Uint8Array): Uint8Array | undefined;
  list(ino: number): Uint8Array[];
  set(ino: number, name: Uint8Array, value: Uint8Array, mode: 'set' | 'create' | 'replace'): void;
  remove(ino: number, name: Uint8Array): void;
  removeAll(ino: number): void;
}

export interface XattrTools {
  readonly facts: Facts;
  readonly inodes: Inodes;
  readonly now: () => FuseTime;
}

export function sqliteXattrs(db: DatabaseSync, { facts, inodes, now }: XattrTools): Xattrs {
  const select = db.prepare('SELECT value FROM xattr WHERE ino = ? AND name = ?');
  const list = db.prepare('SELECT name FROM xattr WHERE ino = ?');
  const put = db.prepare('INSERT OR REPLACE INTO xattr (ino, name, value) VALUES (?, ?, ?)');
  const remove = db.prepare('DELETE FROM xattr WHERE ino = ? AND name = ?');
  const removeAll = db.prepare('DELETE FROM xattr WHERE ino = ?');
  const get = (ino: number, name: Uint8Array): Uint8Array | undefined => {
    const value = select.get(ino, name)?.['value'];
    return value instanceof Uint8Array ? value : undefined;
  };
  const grow = (ino: number, bytes: number): void => {
    const inode = inodes.get(ino);
    inodes.put({
      ...inode,
      ctime: now(),
      xattrBytes: inode.xattrBytes + bytes,
      allocated: inode.allocated + bytes,
    });
    facts.grow({ bytes, inodes: 0 });
  };
  return {
    get,
    list: (ino) => list.all(ino).map((row) => row['name'] as Uint8Array),
    set(ino, name, value, mode) {
      const inode = inodes.get(ino);
      const present = get(ino, name);
      if (mode === 'create' && present !== undefined) throw new FuseError('EEXIST');
      if (mode === 'replace' && present === undefined) throw new FuseError('ENODATA');
      const bytes = value.length + name.length - (present === undefined ? 0 : present.length + name.length);
      if (inode.xattrBytes + bytes > xattrBytesMax) throw new FuseError('ENOSPC');
      facts.checkRoom({ bytes, inodes: 0 });
      put.run(ino, name, value);
      grow(ino, bytes);
    },
    remove(ino, name) {
      const present = get(ino, name);
      if (present === undefined) throw new FuseError('ENODATA');
      remove.run(ino, name);
      grow(ino, -present.length - name.length);
    },
    removeAll: (ino) => void removeAll.run(ino),
  };
}
