import type { DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { migrations } from './migrations.ts';

/**
 * Brings the schema to the last of `steps`, all in one transaction. Throws `config_invalid` for a volume of a newer
 * version.
 */
export function migrate(db: DatabaseSync, path: string, steps: readonly string[] = migrations): void {
  const present = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  if (present > steps.length)
    throw new SoulBoxError(
      'config_invalid',
      `The volume ${path} has schema version ${present}, but this SoulBox supports versions up to ${steps.length}. ` +
        'Start the newer SoulBox that wrote it.',
    );
  if (present === steps.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const sql of steps.slice(present)) db.exec(sql);
    db.exec(`PRAGMA user_version = ${steps.length}`);
    db.exec('COMMIT');
  } catch (thrown) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw thrown;
  }
}
