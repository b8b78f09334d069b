import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
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

/**
 * Makes the metadata of an empty volume, whose root is in it. A process that is killed meanwhile leaves all of it or
 * nothing that counts. Throws `file_exists`. One process at a time may make a volume.
 */
export function createSqliteMetadata(path: string, volume: NewVolume): void {
  if (existsSync(path)) throw new SoulBoxError('file_exists', `The volume ${volume.id} exists.`);
  const unfinished = `${path}.new`;
  removeDatabase(unfinished);
  try {
    writeVolume(unfinished, volume);
    flush(unfinished);
    renameSync(unfinished, path);
    flush(dirname(path));
  } catch (error) {
    removeDatabase(unfinished);
    throw error;
  }
}

function writeVolume(path: string, { id, quota, root, now }: NewVolume): void {
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
  } finally {
    // It writes the log back, and removes it.
    db.close();
  }
}

/** With the files that SQLite has beside it. */
function removeDatabase(path: string): void {
  for (const name of [path, `${path}-wal`, `${path}-shm`]) rmSync(name, { force: true });
}

function flush(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** In lists, 1 is `.` and 2 is `..`. */
const firstSeq = 3;
