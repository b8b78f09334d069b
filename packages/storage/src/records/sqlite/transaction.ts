import type { DatabaseSync } from 'node:sqlite';

/** Runs `work` (synchronous, so that nothing comes between) as one transaction; a throw undoes all of it. */
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

/** After some errors, a full disk among them, SQLite has done it itself; a second time would hide the error behind another. */
export function rollBack(db: DatabaseSync): void {
  if (db.isTransaction) db.exec('ROLLBACK');
}
