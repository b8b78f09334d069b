import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { FuseError } from '@soulbox/fuse';
import type { FuseTime } from '@soulbox/fuse';
import { isFolder } from '../inode.ts';
import type { Inode } from '../inode.ts';

export type Row = Record<string, SQLOutputValue>;

/** The columns are read by `inodeFromRow`. */
export function inodeFromRow(row: Row): Inode {
  return {
    ino: row['ino'] as number,
    mode: row['mode'] as number,
    uid: row['uid'] as number,
    gid: row['gid'] as number,
    nlink: row['nlink'] as number,
    size: row['size'] as number,
    allocated: row['allocated'] as number,
    rdev: row['rdev'] as number,
    atime: { sec: row['atime_s'] as number, nsec: row['atime_ns'] as number },
    mtime: { sec: row['mtime_s'] as number, nsec: row['mtime_ns'] as number },
    ctime: { sec: row['ctime_s'] as number, nsec: row['ctime_ns'] as number },
    parent: row['parent'] as number,
    xattrBytes: row['xattr_bytes'] as number,
  };
}

export const inodeColumns =
  'ino, mode, uid, gid, nlink, size, allocated, rdev, atime_s, atime_ns, mtime_s, mtime_ns, ctime_s, ctime_ns, parent, xattr_bytes';

export interface Inodes {
  find(ino: number): Inode | undefined;
  /** Throws ESTALE. */
  get(ino: number): Inode;
  /** A folder that has a name. Throws ESTALE, ENOTDIR, and ENOENT for one that was removed. */
  getFolder(ino: number): Inode;
  insert(inode: Inode, target: Uint8Array | undefined): void;
  put(inode: Inode): void;
  remove(ino: number): void;
  target(ino: number): Uint8Array | undefined;
  orphans(after: number, limit: number): number[];
  /** Transactions were undone. */
  forgetAll(): void;
}

/** More are read again. */
const cachedMax = 20_000;

export function sqliteInodes(db: DatabaseSync): Inodes {
  const select = db.prepare(`SELECT ${inodeColumns} FROM inode WHERE ino = ?`);
  const insert = db.prepare(
    `INSERT INTO inode (${inodeColumns}, target) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const update = db.prepare(
    `UPDATE inode SET mode = ?2, uid = ?3, gid = ?4, nlink = ?5, size = ?6, allocated = ?7, rdev = ?8, atime_s = ?9,
       atime_ns = ?10, mtime_s = ?11, mtime_ns = ?12, ctime_s = ?13, ctime_ns = ?14, parent = ?15, xattr_bytes = ?16
     WHERE ino = ?1`,
  );
  const remove = db.prepare('DELETE FROM inode WHERE ino = ?');
  const target = db.prepare('SELECT target FROM inode WHERE ino = ?');
  const orphans = db.prepare('SELECT ino FROM inode WHERE nlink = 0 AND ino > ? ORDER BY ino LIMIT ?');
  /** Nobody else changes the database. */
  const cached = new Map<number, Inode>();
  const remember = (inode: Inode): void => {
    if (cached.size >= cachedMax) cached.clear();
    cached.set(inode.ino, inode);
  };
  const find = (ino: number): Inode | undefined => {
    const present = cached.get(ino);
    if (present !== undefined) return present;
    const row = select.get(ino);
    if (row === undefined) return undefined;
    const inode = inodeFromRow(row);
    remember(inode);
    return inode;
  };
  const get = (ino: number): Inode => {
    const inode = find(ino);
    if (inode === undefined) throw new FuseError('ESTALE');
    return inode;
  };
  return {
    find,
    get,
    getFolder(ino) {
      const inode = get(ino);
      if (!isFolder(inode)) throw new FuseError('ENOTDIR');
      if (inode.nlink === 0) throw new FuseError('ENOENT');
      return inode;
    },
    insert(inode, bytes) {
      insert.run(...valuesOf(inode), bytes ?? null);
      remember(inode);
    },
    put(inode) {
      update.run(...valuesOf(inode));
      remember(inode);
    },
    remove(ino) {
      remove.run(ino);
      cached.delete(ino);
    },
    target(ino) {
      const bytes = target.get(ino)?.['target'];
      return bytes instanceof Uint8Array ? bytes : undefined;
    },
    forgetAll: () => {
      cached.clear();
    },
    orphans: (after, limit) => orphans.all(after, limit).map((row) => row['ino'] as number),
  };
}

function valuesOf(inode: Inode): number[] {
  const { ino, mode, uid, gid, nlink, size, allocated, rdev, atime, mtime, ctime, parent, xattrBytes } = inode;
  return [
    ...[ino, mode, uid, gid, nlink, size, allocated, rdev],
    ...[atime.sec, atime.nsec, mtime.sec, mtime.nsec, ctime.sec, ctime.nsec, parent, xattrBytes],
  ];
}

export const isBefore = (one: FuseTime, other: FuseTime): boolean =>
  one.sec < other.sec || (one.sec === other.sec && one.nsec < other.nsec);
