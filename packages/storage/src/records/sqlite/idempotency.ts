import type { DatabaseSync } from 'node:sqlite';
import type { IdempotencyRecords } from '../idempotency.ts';
import { inTransaction } from './transaction.ts';

/** Rows that one request at the limit removes, so that it stays short. */
const purgedAtLimit = 100;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteIdempotency(db: DatabaseSync): IdempotencyRecords {
  const find = db.prepare('SELECT * FROM idempotency_keys WHERE team_id = ? AND key = ?');
  const insert = db.prepare('INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?, 0)');
  const remove = db.prepare('DELETE FROM idempotency_keys WHERE team_id = ? AND key = ?');
  const finish = db.prepare('UPDATE idempotency_keys SET is_done = 1 WHERE team_id = ? AND key = ?');
  const count = db.prepare('SELECT keys FROM idempotency_counts WHERE team_id = ?');
  const first = db.prepare('SELECT min(kept_until) AS kept_until FROM idempotency_keys WHERE team_id = ?');
  const purgeOwn = db.prepare(
    `DELETE FROM idempotency_keys WHERE (team_id, key) IN
       (SELECT team_id, key FROM idempotency_keys WHERE team_id = ? AND kept_until <= ? LIMIT ?)`,
  );
  const purge = db.prepare(
    `DELETE FROM idempotency_keys WHERE (team_id, key) IN
       (SELECT team_id, key FROM idempotency_keys WHERE kept_until < ? LIMIT ?)`,
  );
  const countOf = (teamId: string): number => Number(count.get(teamId)?.['keys'] ?? 0);

  return {
    begin: async ({ teamId, key, fingerprint, creationId, keptUntil }, now, limit) =>
      inTransaction(db, () => {
        const row = find.get(teamId, key);
        if (row !== undefined && Number(row['kept_until']) > now) {
          if (row['fingerprint'] !== fingerprint) return { is: 'other' };
          return { is: 'repeated', creationId: String(row['creation_id']), isDone: row['is_done'] === 1 };
        }
        if (row !== undefined) remove.run(teamId, key);
        if (countOf(teamId) >= limit) purgeOwn.run(teamId, now, purgedAtLimit);
        if (countOf(teamId) >= limit) return { is: 'full', freeAt: Number(first.get(teamId)?.['kept_until'] ?? 0) };
        insert.run(teamId, key, fingerprint, creationId, keptUntil);
        return { is: 'new' };
      }),
    finish: async (teamId, key) => void finish.run(teamId, key),
    abandon: async (teamId, key) => void remove.run(teamId, key),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
