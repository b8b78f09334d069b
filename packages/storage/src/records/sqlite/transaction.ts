import type { DatabaseSync } from 'node:sqlite';

/**
 * Runs `work` as one transaction; an exception undoes all of it. `work` is synchronous, so that nothing runs in
 * between.
 */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (thrown) {
    rollBack(db);
    throw thrown;
  }
}

/**
 * After some errors, including a full disk, SQLite has already rolled back; a second rollback would hide the first
 * error behind another.
 */
export function rollBack(db: DatabaseSync): void {
  if (db.isTransaction) db.exec('ROLLBACK');
}
