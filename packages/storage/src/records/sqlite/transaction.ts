import type { DatabaseSync } from 'node:sqlite';

/** Runs `work` (synchronous, so that nothing comes between) as one transaction; a throw undoes all of it. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (thrown) {
    db.exec('ROLLBACK');
    throw thrown;
  }
}
