import type { DatabaseSync } from 'node:sqlite';
import { isNodeError } from '@soulbox/base';

/** Result code of sqlite.org/rescode.html. */
const sqliteBusy = 5;

/**
 * Writes everything from the write-ahead log to the file and empties the log. With `secure_delete`, replaced and deleted
 * values are then in neither. False if another process reads or writes at the moment.
 */
export function emptyWriteAheadLog(db: DatabaseSync): boolean {
  return db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy'] === 0;
}

/**
 * Writes the whole file again, without anything that was deleted or replaced before. Needs free space for two copies.
 * False if another process reads or writes at the moment.
 */
export function rewriteFile(db: DatabaseSync): boolean {
  try {
    db.exec('VACUUM');
  } catch (error) {
    if (isNodeError(error) && (error as { errcode?: unknown }).errcode === sqliteBusy) return false;
    throw error;
  }
  return emptyWriteAheadLog(db);
}
