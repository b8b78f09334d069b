import type { DatabaseSync } from 'node:sqlite';

/** Runs `work` (synchronous, so that nothing comes between) as one transaction; a throw undoes all of it. */
export function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    work();
    db.exec('COMMIT');
  } catch (thrown) {
    db.exec('ROLLBACK');
    throw thrown;
  }
}
