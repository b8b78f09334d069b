import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { FuseError } from '@soulbox/fuse';
import type { Quota } from '../metadata/metadata.ts';
import { isNoRoom } from '../metadata/sqlite/errors.ts';
import { metadataPath } from '../volume/places.ts';
import type { Volume } from '../volume/open.ts';

/** Pages that are copied in one step, in the thread pool. */
const pagesAtOnce = 1000;
/** Half of the shortest grace of a sweep (sweep.ts), which cannot see the references of an unfinished copy. */
export const copyMsMax = 30 * 60_000;

export interface CopyOptions {
  readonly data: string;
  /** Of the copy. */
  readonly id: string;
  /** A snapshot. Without it, the copy is a clone. */
  readonly isReadOnly: boolean;
  readonly quota: Quota;
}

/**
 * Copies the metadata of a volume as they are at one moment; the blocks are shared. Writes go on meanwhile: from that
 * moment on, both volumes write to new blocks. Returns the number of the last transaction that the copy has. Files
 * without names and locks are not copied. After a failure nothing is left. Throws ENOSPC.
 */
export async function copyVolume(source: Volume, options: CopyOptions): Promise<{ readonly commit: number }> {
  const { data, id } = options;
  const target = metadataPath(data, id);
  if (existsSync(target)) throw new SoulBoxError('file_exists', `A volume with the id ${id} exists.`);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const unfinished = `${target}.new`;
  const origin = metadataPath(data, source.metadata.facts().id);
  await rm(unfinished, { force: true });
  const startedAt = performance.now();
  try {
    // Asked anew: blocks that a copy shared are only deleted by a sweep, even if the copy has failed.
    if (source.blocks.freeBytes() < (await stat(origin)).size) throw hostIsFull();
    using moment = await source.atRest(() => holdMoment(origin));
    // What the copy names is on the disk before the copy is.
    await source.sync();
    await backup(moment.db, unfinished, { rate: pagesAtOnce });
    if (performance.now() - startedAt > copyMsMax)
      throw new SoulBoxError(
        'limit_exceeded',
        `The copy of the volume took longer than ${copyMsMax / 60_000} minutes.`,
      );
    finish(unfinished, options);
    await flush(unfinished);
    await rename(unfinished, target);
    await flush(dirname(target));
    await flush(data);
    return { commit: moment.commit };
  } catch (error) {
    await rm(dirname(target), { recursive: true, force: true });
    throw isNoRoom(error) ? hostIsFull() : error;
  }
}

const hostIsFull = (): FuseError => new FuseError('ENOSPC', 'The disk of the host is full.');

/** A connection that sees the metadata as they are now, until it is closed. */
export function holdMoment(path: string): Disposable & { readonly db: DatabaseSync; readonly commit: number } {
  const db = new DatabaseSync(path, { readOnly: true });
  db.exec('BEGIN');
  const commit = Number(db.prepare('SELECT commit_number FROM volume').get()?.['commit_number']);
  return {
    db,
    commit,
    [Symbol.dispose]: () => {
      db.close();
    },
  };
}

/** Removes what belongs to the mounts of a volume: locks, answers, and files without names. */
export const withoutMounts = `
  DELETE FROM lock;
  DELETE FROM reply;
  UPDATE volume SET
    used_bytes = used_bytes - (SELECT coalesce(sum(allocated), 0) FROM inode WHERE nlink = 0),
    used_inodes = used_inodes - (SELECT count(*) FROM inode WHERE nlink = 0);
  DELETE FROM block WHERE ino IN (SELECT ino FROM inode WHERE nlink = 0);
  DELETE FROM xattr WHERE ino IN (SELECT ino FROM inode WHERE nlink = 0);
  DELETE FROM inode WHERE nlink = 0;`;

/** Gives a copy its own name, and removes what belongs to the mounts of the source. */
function finish(path: string, { id, isReadOnly, quota }: CopyOptions): void {
  const db = new DatabaseSync(path);
  try {
    // For one user, SQLite keeps the index of its log in memory. As a mapped file, it ends the process with SIGBUS when
    // the disk is full and its blocks are smaller than 4 KiB.
    db.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = DELETE;
      BEGIN IMMEDIATE;
      ${withoutMounts}`);
    db.prepare('UPDATE volume SET id = ?, is_read_only = ?, quota_bytes = ?, quota_inodes = ?').run(
      ...([id, Number(isReadOnly), quota.bytes ?? null, quota.inodes ?? null] as const),
    );
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}

async function flush(path: string): Promise<void> {
  await using file = await open(path, 'r');
  await file.sync();
}
