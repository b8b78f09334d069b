import type { DatabaseSync } from 'node:sqlite';
import { migrate } from '../records/sqlite/migrate.ts';
import { migrations } from '../records/sqlite/migrations.ts';

/** Brings a records file to the schema of the version before the migration that contains `sql`. */
export function migrateBefore(db: DatabaseSync, sql: string): void {
  const step = migrations.findIndex((migration) => migration.includes(sql));
  if (step === -1) throw new Error(`No migration contains ${sql}.`);
  migrate(db, migrations.slice(0, step));
}
