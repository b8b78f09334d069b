import { rmSync } from 'node:fs';
import type { FuseTime } from '@soulbox/fuse';
import { folderType, rootIno } from '../inode.ts';
import type { Quota } from '../metadata.ts';
import { openDatabase } from './database.ts';
import { sqliteInodes } from './inodes.ts';

export interface NewVolume {
  readonly id: string;
  readonly quota: Quota;
  /** Owner and permissions of its root. */
  readonly root: { readonly uid: number; readonly gid: number; readonly mode: number };
  readonly now: FuseTime;
}

/** Makes the metadata of an empty volume, whose root is in it. Throws if the file exists. */
export function createSqliteMetadata(path: string, { id, quota, root, now }: NewVolume): void {
  const db = openDatabase(path, { create: true });
  try {
    db.exec('BEGIN IMMEDIATE');
    db.prepare(
      `INSERT INTO volume (only, id, commit_number, generation, is_read_only, next_ino, next_seq, used_bytes,
         used_inodes, quota_bytes, quota_inodes) VALUES (1, ?, 0, 1, 0, ?, ?, 0, 1, ?, ?)`,
    ).run(id, rootIno + 1, firstSeq, quota.bytes ?? null, quota.inodes ?? null);
    const inode = {
      ...{ ino: rootIno, mode: folderType | root.mode, uid: root.uid, gid: root.gid, nlink: 2, size: 0, allocated: 0 },
      ...{ rdev: 0, atime: now, mtime: now, ctime: now, parent: rootIno, xattrBytes: 0 },
    };
    sqliteInodes(db).insert(inode, undefined);
    db.exec('COMMIT');
    db.close();
  } catch (error) {
    db.close();
    rmSync(path, { force: true });
    throw error;
  }
}

/** In lists, 1 is `.` and 2 is `..`. */
const firstSeq = 3;
