/** Numbered from 1. Never change a released one; add a new one. */
export const migrations: readonly string[] = [
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

  // Paused sandboxes, snapshots, events, webhooks. SQLite cannot change a CHECK, so the table is created again.
  `ALTER TABLE sandboxes RENAME TO old_sandboxes;
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
     isolation TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'ended')),
     cause TEXT NOT NULL,
     state_since INTEGER NOT NULL,
     execution_started_at INTEGER NOT NULL
   ) STRICT;
   INSERT INTO sandboxes
     SELECT id, team_id, template_id, alias, metadata, started_at, end_at, cpu_count, memory_mb, disk_size_mb, envd_version,
       network, json_set(lifecycle, '$.idleTimeoutSeconds', 0), '', state, coalesce(cause, 'request'),
       coalesce(ended_at, started_at), started_at
     FROM old_sandboxes;
   DROP TABLE old_sandboxes;
   CREATE INDEX sandboxes_live ON sandboxes (team_id, started_at, id) WHERE state <> 'ended';
   CREATE INDEX sandboxes_ended ON sandboxes (state_since) WHERE state = 'ended';
   CREATE INDEX sandboxes_team ON sandboxes (team_id, started_at);

   ALTER TABLE creations ADD COLUMN places INTEGER NOT NULL DEFAULT 1;

   CREATE TABLE snapshots (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     sandbox_id TEXT NOT NULL,
     template_id TEXT NOT NULL,
     name TEXT NOT NULL,
     tag TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('making', 'ready', 'deleting')),
     created_at INTEGER NOT NULL,
     cpu_count INTEGER NOT NULL,
     memory_mb INTEGER NOT NULL,
     disk_size_mb INTEGER NOT NULL,
     isolation TEXT NOT NULL,
     size_bytes INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX snapshots_name ON snapshots (team_id, name, tag) WHERE state = 'ready' AND name <> '';
   CREATE INDEX snapshots_team ON snapshots (team_id, created_at, id);

   CREATE TABLE events (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     sandbox_id TEXT NOT NULL,
     template_id TEXT NOT NULL,
     execution_id TEXT NOT NULL,
     type TEXT NOT NULL,
     at INTEGER NOT NULL,
     cause TEXT NOT NULL,
     metadata TEXT NOT NULL,
     execution TEXT,
     snapshot_id TEXT
   ) STRICT;
   CREATE INDEX events_team ON events (team_id, sequence);
   CREATE INDEX events_sandbox ON events (sandbox_id, sequence);
   CREATE INDEX events_at ON events (at);

   CREATE TABLE webhooks (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     url TEXT NOT NULL,
     enabled INTEGER NOT NULL,
     events TEXT NOT NULL,
     signature_secret TEXT NOT NULL,
     created_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX webhooks_team ON webhooks (team_id, created_at);

   CREATE TABLE deliveries (
     id TEXT PRIMARY KEY,
     webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
     sequence INTEGER NOT NULL REFERENCES events (sequence) ON DELETE CASCADE,
     failures INTEGER NOT NULL,
     due_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX deliveries_webhook ON deliveries (webhook_id);
   CREATE INDEX deliveries_event ON deliveries (sequence);
   CREATE INDEX deliveries_due ON deliveries (due_at);`,

  // Templates that are built here.
  `CREATE TABLE templates (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     is_public INTEGER NOT NULL,
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL,
     last_spawned_at INTEGER,
     spawn_count INTEGER NOT NULL,
     UNIQUE (team_id, name)
   ) STRICT;
   CREATE INDEX templates_public ON templates (name) WHERE is_public = 1;

   CREATE TABLE builds (
     id TEXT PRIMARY KEY,
     template_id TEXT NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
     tags TEXT NOT NULL,
     status TEXT NOT NULL CHECK (status IN ('waiting', 'building', 'ready', 'error')),
     reason TEXT,
     reason_step TEXT,
     cpu_count INTEGER NOT NULL,
     memory_mb INTEGER NOT NULL,
     min_free_disk_mb INTEGER NOT NULL,
     disk_size_mb INTEGER NOT NULL DEFAULT 0,
     envd_version TEXT NOT NULL DEFAULT '',
     start_command TEXT NOT NULL DEFAULT '',
     ready_command TEXT NOT NULL DEFAULT '',
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL,
     finished_at INTEGER
   ) STRICT;
   CREATE INDEX builds_template ON builds (template_id, created_at, id);
   CREATE INDEX builds_underway ON builds (status) WHERE status IN ('waiting', 'building');
   CREATE INDEX builds_finished ON builds (finished_at) WHERE finished_at IS NOT NULL;

   CREATE TABLE template_tags (
     template_id TEXT NOT NULL REFERENCES templates (id) ON DELETE CASCADE,
     tag TEXT NOT NULL,
     build_id TEXT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
     created_at INTEGER NOT NULL,
     PRIMARY KEY (template_id, tag)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX template_tags_build ON template_tags (build_id);

   CREATE TABLE build_logs (
     build_id TEXT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
     sequence INTEGER NOT NULL,
     at INTEGER NOT NULL,
     level TEXT NOT NULL,
     step TEXT NOT NULL,
     message TEXT NOT NULL,
     PRIMARY KEY (build_id, sequence)
   ) STRICT, WITHOUT ROWID;

   CREATE TABLE build_files (
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     hash TEXT NOT NULL,
     size_bytes INTEGER NOT NULL,
     used_at INTEGER NOT NULL,
     PRIMARY KEY (team_id, hash)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX build_files_used ON build_files (used_at);

   CREATE TABLE build_uploads (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     hash TEXT NOT NULL,
     size_bytes INTEGER NOT NULL
   ) STRICT;`,

  // Edge functions and their key-value namespaces.
  `CREATE TABLE functions (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL UNIQUE,
     kind TEXT NOT NULL CHECK (kind IN ('workers', 'edge')),
     environment TEXT NOT NULL,
     sealed_secrets TEXT NOT NULL,
     kv_bindings TEXT NOT NULL,
     limits TEXT NOT NULL,
     compatibility_date TEXT NOT NULL,
     compatibility_flags TEXT NOT NULL,
     active_version INTEGER NOT NULL,
     sandbox_id TEXT,
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX functions_team ON functions (team_id, name);

   CREATE TABLE function_versions (
     function_id TEXT NOT NULL REFERENCES functions (id) ON DELETE CASCADE,
     number INTEGER NOT NULL,
     digest TEXT NOT NULL,
     size_bytes INTEGER NOT NULL,
     created_at INTEGER NOT NULL,
     PRIMARY KEY (function_id, number)
   ) STRICT;
   CREATE INDEX function_versions_digest ON function_versions (digest);

   CREATE TABLE kv_namespaces (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     key_count INTEGER NOT NULL,
     size_bytes INTEGER NOT NULL,
     UNIQUE (team_id, name)
   ) STRICT;

   CREATE TABLE kv_entries (
     namespace_id TEXT NOT NULL REFERENCES kv_namespaces (id) ON DELETE CASCADE,
     key TEXT NOT NULL,
     blob_key TEXT NOT NULL,
     size_bytes INTEGER NOT NULL,
     metadata TEXT,
     expires_at INTEGER,
     PRIMARY KEY (namespace_id, key)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX kv_entries_expiry ON kv_entries (expires_at) WHERE expires_at IS NOT NULL;`,

  // Unreferenced blobs are found at the start.
  `CREATE INDEX kv_entries_blob ON kv_entries (blob_key);`,

  // The metadata of a sandbox is stored once for all its events until it changes.
  `CREATE TABLE event_metadata (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     body TEXT NOT NULL
   ) STRICT;
   ALTER TABLE events ADD COLUMN metadata_id INTEGER REFERENCES event_metadata (id);
   INSERT INTO event_metadata (id, body) SELECT min(sequence), metadata FROM events GROUP BY sandbox_id, metadata;
   UPDATE events SET metadata_id = same.first FROM (
     SELECT sequence, min(sequence) OVER (PARTITION BY sandbox_id, metadata) AS first FROM events
   ) AS same WHERE same.sequence = events.sequence;
   ALTER TABLE events DROP COLUMN metadata;
   CREATE INDEX events_metadata ON events (metadata_id);
   CREATE TRIGGER events_metadata_unused AFTER DELETE ON events BEGIN
     DELETE FROM event_metadata WHERE id = OLD.metadata_id
       AND NOT EXISTS (SELECT 1 FROM events WHERE metadata_id = OLD.metadata_id);
   END;`,

  // The number of a team's events, without counting them.
  `CREATE TABLE team_counts (
     team_id TEXT PRIMARY KEY,
     events INTEGER NOT NULL
   ) STRICT;
   INSERT INTO team_counts SELECT team_id, count(*) FROM events GROUP BY team_id;
   CREATE TRIGGER events_counted AFTER INSERT ON events BEGIN
     INSERT INTO team_counts VALUES (NEW.team_id, 1) ON CONFLICT (team_id) DO UPDATE SET events = events + 1;
   END;
   CREATE TRIGGER events_discounted AFTER DELETE ON events BEGIN
     UPDATE team_counts SET events = events - 1 WHERE team_id = OLD.team_id;
   END;`,
  // The isolation of sandboxes that do not specify one, by key.
  `ALTER TABLE api_keys ADD COLUMN isolation TEXT NOT NULL DEFAULT '';`,

  // Signed URLs: the names of keys, and the nonces of URLs that were used and have not expired.
  `CREATE TABLE signing_keys (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     created_at INTEGER NOT NULL,
     ends_at INTEGER
   ) STRICT;
   CREATE INDEX signing_keys_team ON signing_keys (team_id);
   CREATE TABLE used_nonces (
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     nonce TEXT NOT NULL,
     kept_until INTEGER NOT NULL,
     PRIMARY KEY (team_id, nonce)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX used_nonces_kept_until ON used_nonces (kept_until);
   CREATE INDEX used_nonces_of_team ON used_nonces (team_id, kept_until);
   CREATE TABLE nonce_counts (
     team_id TEXT PRIMARY KEY REFERENCES teams (id) ON DELETE CASCADE,
     nonces INTEGER NOT NULL
   ) STRICT;
   CREATE TRIGGER nonces_counted AFTER INSERT ON used_nonces BEGIN
     INSERT INTO nonce_counts VALUES (NEW.team_id, 1) ON CONFLICT (team_id) DO UPDATE SET nonces = nonces + 1;
   END;
   CREATE TRIGGER nonces_discounted AFTER DELETE ON used_nonces BEGIN
     UPDATE nonce_counts SET nonces = nonces - 1 WHERE team_id = OLD.team_id;
   END;`,

  // Keys of packages/keyring. Values from before are encrypted by the control plane, which has the keys; until it has
  // done that and has removed the old values from the file, `pending_sealing` has a row.
  `CREATE TABLE master_keys (
     id TEXT PRIMARY KEY,
     state TEXT NOT NULL CHECK (state IN ('current', 'retiring', 'retired')),
     created_at INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX master_keys_current ON master_keys (state) WHERE state = 'current';

   CREATE TABLE data_keys (
     id TEXT PRIMARY KEY,
     master_key_id TEXT NOT NULL REFERENCES master_keys (id),
     wrapped TEXT NOT NULL,
     claimed INTEGER NOT NULL,
     created_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX data_keys_master ON data_keys (master_key_id);
   CREATE INDEX data_keys_newest ON data_keys (created_at DESC, id);

   ALTER TABLE webhooks ADD COLUMN sealed_secret TEXT NOT NULL DEFAULT '';
   ALTER TABLE functions ADD COLUMN sealed_environment TEXT NOT NULL DEFAULT '';

   CREATE TABLE pending_sealing (task TEXT PRIMARY KEY) STRICT;
   INSERT INTO pending_sealing VALUES ('values');`,

  // Secrets of teams, whose values are encrypted.
  `CREATE TABLE secrets (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     current_version INTEGER NOT NULL,
     metadata TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL,
     UNIQUE (team_id, name)
   ) STRICT;
   CREATE INDEX secrets_team ON secrets (team_id, created_at, id);

   CREATE TABLE secret_versions (
     secret_id TEXT NOT NULL REFERENCES secrets (id) ON DELETE CASCADE,
     number INTEGER NOT NULL,
     sealed_value TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     PRIMARY KEY (secret_id, number)
   ) STRICT, WITHOUT ROWID;`,
  // Audit logs. Without references to teams: a log outlives its team.
  `CREATE TABLE audit_heads (
     team_id TEXT PRIMARY KEY,
     origin TEXT NOT NULL,
     writer TEXT NOT NULL,
     next_writer_seq INTEGER NOT NULL,
     next_seq INTEGER NOT NULL,
     bytes INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE audit_waiting (
     team_id TEXT NOT NULL,
     seq INTEGER NOT NULL,
     writer TEXT NOT NULL,
     writer_seq INTEGER NOT NULL,
     text TEXT NOT NULL,
     PRIMARY KEY (team_id, seq)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE audit_subjects (
     team_id TEXT NOT NULL,
     subject TEXT NOT NULL,
     key_id TEXT NOT NULL,
     wrapped BLOB NOT NULL,
     wrap_key_id TEXT NOT NULL,
     PRIMARY KEY (team_id, subject)
   ) STRICT;
   CREATE UNIQUE INDEX audit_subjects_key ON audit_subjects (team_id, key_id);
   CREATE TABLE audit_holds (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL,
     reason TEXT NOT NULL,
     until INTEGER NOT NULL
   ) STRICT;`,
  // Connections of sandboxes to the outside. Without references: they outlive their sandboxes.
  `CREATE TABLE connections (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     team_id TEXT NOT NULL,
     sandbox_id TEXT NOT NULL,
     started_at INTEGER NOT NULL,
     duration_ms INTEGER NOT NULL,
     protocol TEXT NOT NULL,
     name TEXT NOT NULL,
     address TEXT NOT NULL,
     port INTEGER NOT NULL,
     rule TEXT NOT NULL,
     is_allowed INTEGER NOT NULL,
     reason TEXT NOT NULL,
     bytes_sent INTEGER NOT NULL,
     bytes_received INTEGER NOT NULL,
     method TEXT NOT NULL,
     path TEXT NOT NULL
   ) STRICT;
   CREATE INDEX connections_sandbox ON connections (team_id, sandbox_id, sequence);
   CREATE INDEX connections_team ON connections (team_id, sequence);
   CREATE INDEX connections_age ON connections (started_at);`,
  // Keys that sign workload identities.
  `CREATE TABLE identity_keys (
     id TEXT PRIMARY KEY,
     created_at INTEGER NOT NULL,
     signs_from INTEGER NOT NULL,
     ends_at INTEGER,
     public_jwk TEXT NOT NULL,
     sealed_private_key TEXT NOT NULL
   ) STRICT;`,

  // Keys of subjects, sealed by the keyring. Those from before were wrapped with a key of their own; the control plane,
  // which has both, seals them (`pending_sealing`).
  `CREATE TABLE audit_subject_keys (
     team_id TEXT NOT NULL,
     subject TEXT NOT NULL,
     key_id TEXT NOT NULL,
     sealed_key TEXT NOT NULL DEFAULT '',
     wrapped BLOB NOT NULL DEFAULT x'',
     wrap_key_id TEXT NOT NULL DEFAULT '',
     PRIMARY KEY (team_id, subject)
   ) STRICT;
   INSERT INTO audit_subject_keys (team_id, subject, key_id, wrapped, wrap_key_id)
     SELECT team_id, subject, key_id, wrapped, wrap_key_id FROM audit_subjects;
   DROP TABLE audit_subjects;
   ALTER TABLE audit_subject_keys RENAME TO audit_subjects;
   CREATE UNIQUE INDEX audit_subjects_key ON audit_subjects (team_id, key_id);
   INSERT OR IGNORE INTO pending_sealing SELECT 'values' WHERE EXISTS (SELECT 1 FROM audit_subjects);`,

  // What API keys may do, and how they are found. Keys from before may do everything. Their plain hashes are sealed when
  // the file is opened (pepper-of-keys.ts); of their public part, only the mask is known.
  `ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'create run read admin';
   ALTER TABLE api_keys ADD COLUMN role TEXT NOT NULL DEFAULT '';
   ALTER TABLE api_keys ADD COLUMN templates TEXT NOT NULL DEFAULT '[]';
   ALTER TABLE api_keys ADD COLUMN expires_at INTEGER;
   ALTER TABLE api_keys ADD COLUMN pepper_id TEXT NOT NULL DEFAULT '';
   ALTER TABLE api_keys ADD COLUMN lookup TEXT NOT NULL DEFAULT '';
   UPDATE api_keys SET lookup = masked_prefix || masked_suffix;
   CREATE INDEX api_keys_lookup ON api_keys (lookup);`,

  // Limits of teams, what was used by day, budgets of keys, and keys of requests that may be repeated. Without references
  // to keys: the sandboxes of a key, and what they use, outlive it.
  `CREATE TABLE team_limits (
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     value INTEGER,
     PRIMARY KEY (team_id, name)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE consumption (
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     key_id TEXT NOT NULL,
     day INTEGER NOT NULL,
     cpu_ms INTEGER NOT NULL,
     egress_bytes INTEGER NOT NULL,
     creates INTEGER NOT NULL,
     PRIMARY KEY (team_id, day, key_id)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX consumption_day ON consumption (day);
   CREATE TABLE consumption_marks (
     sandbox_id TEXT PRIMARY KEY,
     epoch TEXT NOT NULL,
     cpu_ms INTEGER NOT NULL,
     egress_bytes INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE key_budgets (
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     key_id TEXT NOT NULL,
     kind TEXT NOT NULL,
     period TEXT NOT NULL,
     amount INTEGER NOT NULL,
     PRIMARY KEY (team_id, key_id, kind, period)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE idempotency_keys (
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     key TEXT NOT NULL,
     fingerprint TEXT NOT NULL,
     creation_id TEXT NOT NULL,
     kept_until INTEGER NOT NULL,
     is_done INTEGER NOT NULL,
     PRIMARY KEY (team_id, key)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX idempotency_keys_kept_until ON idempotency_keys (kept_until);
   CREATE INDEX idempotency_keys_of_team ON idempotency_keys (team_id, kept_until);
   CREATE TABLE idempotency_counts (
     team_id TEXT PRIMARY KEY REFERENCES teams (id) ON DELETE CASCADE,
     keys INTEGER NOT NULL
   ) STRICT;
   CREATE TRIGGER idempotency_counted AFTER INSERT ON idempotency_keys BEGIN
     INSERT INTO idempotency_counts VALUES (NEW.team_id, 1) ON CONFLICT (team_id) DO UPDATE SET keys = keys + 1;
   END;
   CREATE TRIGGER idempotency_discounted AFTER DELETE ON idempotency_keys BEGIN
     UPDATE idempotency_counts SET keys = keys - 1 WHERE team_id = OLD.team_id;
   END;
   ALTER TABLE creations ADD COLUMN memory_mb INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE creations ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
   ALTER TABLE creations ADD COLUMN creates INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE creations ADD COLUMN day INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE sandboxes ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
   ALTER TABLE sandboxes ADD COLUMN creation_id TEXT NOT NULL DEFAULT '';
   CREATE INDEX sandboxes_creation ON sandboxes (creation_id) WHERE creation_id <> '';`,
  // People: users, memberships of teams, sessions in browsers, tokens of users.
  `CREATE TABLE users (
     id TEXT PRIMARY KEY,
     issuer TEXT NOT NULL,
     subject TEXT NOT NULL,
     email TEXT NOT NULL,
     name TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     last_sign_in_at INTEGER
   ) STRICT;
   CREATE UNIQUE INDEX users_subject ON users (issuer, subject) WHERE subject <> '';
   CREATE UNIQUE INDEX users_unbound ON users (email) WHERE subject = '';

   CREATE TABLE memberships (
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     role TEXT NOT NULL CHECK (role IN ('viewer', 'developer', 'admin')),
     source TEXT NOT NULL CHECK (source IN ('operator', 'group')),
     created_at INTEGER NOT NULL,
     PRIMARY KEY (user_id, team_id, source)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX memberships_team ON memberships (team_id);

   CREATE TABLE sessions (
     id TEXT PRIMARY KEY,
     hash TEXT NOT NULL UNIQUE,
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     created_at INTEGER NOT NULL,
     seen_at INTEGER NOT NULL,
     expires_at INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX sessions_user ON sessions (user_id, created_at);
   CREATE INDEX sessions_expiry ON sessions (expires_at);

   CREATE TABLE personal_tokens (
     id TEXT PRIMARY KEY,
     hash TEXT NOT NULL UNIQUE,
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     suffix TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     expires_at INTEGER NOT NULL,
     last_used_at INTEGER
   ) STRICT;
   CREATE INDEX personal_tokens_user ON personal_tokens (user_id, created_at);
   CREATE INDEX personal_tokens_expiry ON personal_tokens (expires_at);`,

  // To which hosts the egress process may send a secret. Secrets from before name none.
  `ALTER TABLE secrets ADD COLUMN hosts TEXT NOT NULL DEFAULT '[]';`,

  // Idempotency keys belong to their sender: the API key, or the user. Those whose sender is not known match no request.
  `UPDATE idempotency_keys SET key = coalesce((
     SELECT coalesce(
       (SELECT user_id FROM sessions WHERE id = created_by),
       (SELECT user_id FROM personal_tokens WHERE id = created_by),
       created_by)
     FROM sandboxes WHERE sandboxes.creation_id = idempotency_keys.creation_id LIMIT 1), '') || ' ' || key;`,

  // Tokens that programs have got from a person with a browser. Of those from before, it is not known: "sign out
  // everywhere" ends them all.
  `ALTER TABLE personal_tokens ADD COLUMN is_of_program INTEGER NOT NULL DEFAULT 1;`,

  // How many connections a record of the log stands for.
  'ALTER TABLE connections ADD COLUMN connections INTEGER NOT NULL DEFAULT 1;',

  // The key of encrypted blobs. Those from before are readable until the control plane has encrypted them.
  `CREATE TABLE blob_root_keys (
     id TEXT PRIMARY KEY,
     sealed_key TEXT NOT NULL,
     created_at INTEGER NOT NULL
   ) STRICT;
   INSERT INTO pending_sealing VALUES ('blobs');`,

  // The session at the identity provider in which a person signed in, so that its end is theirs. Of those from before, it
  // is not known.
  `ALTER TABLE sessions ADD COLUMN provider_sid TEXT NOT NULL DEFAULT '';
   ALTER TABLE personal_tokens ADD COLUMN provider_sid TEXT NOT NULL DEFAULT '';`,

  // Keys with which people and teams sign in by SSH.
  `CREATE TABLE ssh_keys (
     id TEXT PRIMARY KEY,
     team_id TEXT REFERENCES teams (id) ON DELETE CASCADE,
     user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     algorithm TEXT NOT NULL,
     public_key TEXT NOT NULL,
     fingerprint TEXT NOT NULL,
     templates TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     expires_at INTEGER,
     last_used_at INTEGER,
     CHECK ((team_id IS NULL) <> (user_id IS NULL))
   ) STRICT;
   CREATE INDEX ssh_keys_fingerprint ON ssh_keys (fingerprint);
   CREATE UNIQUE INDEX ssh_keys_team ON ssh_keys (team_id, fingerprint) WHERE team_id IS NOT NULL;
   CREATE UNIQUE INDEX ssh_keys_user ON ssh_keys (user_id, fingerprint) WHERE user_id IS NOT NULL;`,

  // Volumes. A row stays until the contents of its volume are removed.
  `CREATE TABLE volumes (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     size_mb INTEGER,
     created_at INTEGER NOT NULL,
     creation_id TEXT NOT NULL,
     is_removing INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX volumes_name ON volumes (team_id, name) WHERE is_removing = 0;
   CREATE INDEX volumes_team ON volumes (team_id, created_at);
   CREATE INDEX volumes_creation ON volumes (creation_id) WHERE creation_id <> '';
   CREATE INDEX volumes_removing ON volumes (id) WHERE is_removing = 1;`,

  // Copies of volumes. "is_removing" is 2 while the contents of a copy are being made.
  `ALTER TABLE volumes ADD COLUMN group_id TEXT NOT NULL DEFAULT '';
   ALTER TABLE volumes ADD COLUMN source_id TEXT;
   ALTER TABLE volumes ADD COLUMN is_read_only INTEGER NOT NULL DEFAULT 0;
   UPDATE volumes SET group_id = id;`,

  // The volumes that are mounted in a sandbox, as JSON.
  `ALTER TABLE sandboxes ADD COLUMN volumes TEXT NOT NULL DEFAULT '[]';`,

  // Buckets of teams, with their encrypted credentials; empty: none.
  `CREATE TABLE buckets (
     id TEXT PRIMARY KEY,
     team_id TEXT NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
     name TEXT NOT NULL,
     url TEXT NOT NULL,
     sealed_credentials TEXT NOT NULL,
     is_read_only INTEGER NOT NULL,
     created_at INTEGER NOT NULL,
     updated_at INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX buckets_name ON buckets (team_id, name);
   CREATE INDEX buckets_team ON buckets (team_id, created_at, id);`,

  // Whether the contents of a volume may have been used. Of earlier ones, nobody knows.
  `ALTER TABLE volumes ADD COLUMN is_used INTEGER NOT NULL DEFAULT 1;`,
];
