import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { migrations, refuseNewer } from './migrations.ts';

/**
 * Looks whether this version can open a records file, and changes nothing. Throws `config_invalid` for one of a newer version. Whatever
 * else is wrong is told by who opens it.
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

/** 0 for what is no records file, or an empty one. */
function presentVersion(db: DatabaseSync): number {
  try {
    return Number(db.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations').get()?.['number']);
  } catch {
    return 0;
  }
}
