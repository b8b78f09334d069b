import type { DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';

/** Numbered from 1. Never change one that was released; add the next. */
const migrations: readonly string[] = [
  `CREATE TABLE teams (
     id TEXT PRIMARY KEY,
     name TEXT NOT NULL,
     is_default INTEGER NOT NULL,
     created_at INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX teams_default ON teams (is_default) WHERE is_default = 1;

   CREATE TABLE api_keys (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     hash TEXT NOT NULL UNIQUE,
     prefix TEXT NOT NULL,
     value_length INTEGER NOT NULL,
     masked_prefix TEXT NOT NULL,
     masked_suffix TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     last_used_at INTEGER
   ) STRICT;
   CREATE INDEX api_keys_team ON api_keys (team_id, created_at);

   CREATE TABLE creations (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     template_id TEXT NOT NULL,
     started_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX creations_team ON creations (team_id);

   CREATE TABLE sandboxes (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     template_id TEXT NOT NULL,
     alias TEXT NOT NULL,
     metadata TEXT NOT NULL,
     started_at INTEGER NOT NULL,
     end_at INTEGER NOT NULL,
     cpu_count INTEGER NOT NULL,
     memory_mb INTEGER NOT NULL,
     disk_size_mb INTEGER NOT NULL,
     envd_version TEXT NOT NULL,
     network TEXT NOT NULL,
     lifecycle TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('running', 'ended')),
     ended_at INTEGER,
     cause TEXT
   ) STRICT;
   CREATE INDEX sandboxes_running ON sandboxes (team_id, started_at, id, end_at) WHERE state = 'running';
   CREATE INDEX sandboxes_ended ON sandboxes (ended_at) WHERE state = 'ended';
   CREATE INDEX sandboxes_team ON sandboxes (team_id, started_at);`,
];

/** Brings the schema to this version, each step in a transaction. Throws `config_invalid` for a newer one. */
export function migrate(db: DatabaseSync): void {
  db.exec('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT');
  const latest = db.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations');
  db.exec('BEGIN IMMEDIATE');
  try {
    const present = Number(latest.get()?.['number']);
    if (present > migrations.length)
      throw new SoulBoxError(
        'config_invalid',
        `The records file has schema version ${present}, this SoulBox knows up to ${migrations.length}. ` +
          'Start the newer SoulBox that wrote it, or use another data folder.',
      );
    const insert = db.prepare('INSERT INTO migrations (number, applied_at) VALUES (?, ?)');
    for (const [index, sql] of migrations.entries()) {
      if (index < present) continue;
      db.exec(sql);
      insert.run(index + 1, Date.now());
    }
    db.exec('COMMIT');
  } catch (thrown) {
    db.exec('ROLLBACK');
    throw thrown;
  }
}
