import type { DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { migrations } from './migrations.ts';
import { rollBack } from './transaction.ts';

/** Throws `config_invalid`. */
export function refuseNewer(present: number, known: number): void {
  if (present > known)
    throw new SoulBoxError(
      'config_invalid',
      `The records file has schema version ${present}, but this SoulBox supports versions up to ${known}. ` +
        'Start the newer SoulBox that wrote it, or choose another data folder.',
    );
}

/** Brings the schema to the last of `steps`, all in one transaction. Throws `config_invalid` for a newer schema. */
export function migrate(db: DatabaseSync, steps: readonly string[] = migrations): void {
  db.exec('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT');
  const latest = db.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations');
  db.exec('BEGIN IMMEDIATE');
  try {
    const present = Number(latest.get()?.['number']);
    refuseNewer(present, steps.length);
    const insert = db.prepare('INSERT INTO migrations (number, applied_at) VALUES (?, ?)');
    for (const [index, sql] of steps.entries()) {
      if (index < present) continue;
      db.exec(sql);
      insert.run(index + 1, Date.now());
    }
    db.exec('COMMIT');
  } catch (thrown) {
    rollBack(db);
    throw thrown;
  }
}
