import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { refuseNewer } from './migrate.ts';
import { migrations } from './migrations.ts';

/**
 * Checks whether this version can open a records file, and changes nothing. Throws `config_invalid` for a file of a
 * newer version. Other faults are reported when the file is opened.
 */
export function checkSqliteSchema(path: string): void {
  if (!existsSync(path)) return;
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    refuseNewer(presentVersion(db), migrations.length);
  } finally {
    db.close();
  }
}

/** 0 for a file that is empty or not a records file. */
function presentVersion(db: DatabaseSync): number {
  try {
    return Number(db.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations').get()?.['number']);
  } catch {
    return 0;
  }
}
