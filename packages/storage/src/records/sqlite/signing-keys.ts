import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { SigningKeyRecord, SigningKeyRecords } from '../signing-keys.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

function keyFromRow(row: Record<string, SQLOutputValue>): SigningKeyRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    createdAt: Number(row['created_at']),
    endsAt: row['ends_at'] === null ? undefined : Number(row['ends_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSigningKeys(db: DatabaseSync, audit: AuditWriter): SigningKeyRecords {
  const newestFirst = 'ORDER BY created_at DESC, rowid DESC';
  const byId = db.prepare('SELECT * FROM signing_keys WHERE id = ?');
  const ofTeam = db.prepare(`SELECT * FROM signing_keys WHERE team_id = ? ${newestFirst}`);
  const active = db.prepare(`SELECT * FROM signing_keys WHERE team_id = ? AND ends_at IS NULL ${newestFirst} LIMIT 1`);
  const insert = db.prepare('INSERT INTO signing_keys (id, team_id, created_at) VALUES (?, ?, ?)');
  const count = db.prepare(
    'SELECT count(*) AS keys FROM signing_keys WHERE team_id = ? AND (ends_at IS NULL OR ends_at > ?)',
  );
  const endAll = db.prepare('UPDATE signing_keys SET ends_at = min(coalesce(ends_at, :at), :at) WHERE team_id = :team');
  const endOne = db.prepare(
    'UPDATE signing_keys SET ends_at = min(coalesce(ends_at, :at), :at) WHERE team_id = :team AND id = :id',
  );
  const purge = db.prepare(
    'DELETE FROM signing_keys WHERE rowid IN (SELECT rowid FROM signing_keys WHERE ends_at < ? LIMIT ?)',
  );

  return {
    find: async (id) => {
      const row = byId.get(id);
      return row === undefined ? undefined : keyFromRow(row);
    },
    list: async (teamId) => ofTeam.all(teamId).map(keyFromRow),
    ensureActive: async ({ id, teamId, createdAt }) => {
      // Most calls find one, and then nothing is locked.
      const present = active.get(teamId);
      if (present !== undefined) return keyFromRow(present);
      return inTransaction(db, () => {
        const meanwhile = active.get(teamId);
        if (meanwhile !== undefined) return keyFromRow(meanwhile);
        insert.run(id, teamId, createdAt);
        return { id, teamId, createdAt, endsAt: undefined };
      });
    },
    rotate: async ({ id, teamId, createdAt }, endsAt, limit, note) =>
      inTransaction(db, () => {
        if (Number(count.get(teamId, createdAt)?.['keys']) >= limit) return false;
        endAll.run({ team: teamId, at: endsAt });
        insert.run(id, teamId, createdAt);
        if (note !== undefined) audit.write(note);
        return true;
      }),
    end: async (teamId, id, endsAt, note) =>
      changeWithNote(db, audit, note, () => endOne.run({ team: teamId, id, at: endsAt })),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
