import type { DatabaseSync } from 'node:sqlite';
import type { UsedNonceRecords } from '../used-nonces.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

/** Rows that one use of a full store removes, so that it stays short. */
const purgedPerUse = 100;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteUsedNonces(db: DatabaseSync, audit: AuditWriter): UsedNonceRecords {
  const find = db.prepare('SELECT 1 FROM used_nonces WHERE team_id = ? AND nonce = ?');
  const insert = db.prepare('INSERT INTO used_nonces (team_id, nonce, kept_until) VALUES (?, ?, ?)');
  const count = db.prepare('SELECT nonces FROM nonce_counts WHERE team_id = ?');
  const purgeOwn = db.prepare(
    `DELETE FROM used_nonces WHERE (team_id, nonce) IN
       (SELECT team_id, nonce FROM used_nonces WHERE team_id = ? AND kept_until < ? ORDER BY kept_until LIMIT ?)`,
  );
  const purge = db.prepare(
    `DELETE FROM used_nonces WHERE (team_id, nonce) IN
       (SELECT team_id, nonce FROM used_nonces WHERE kept_until < ? LIMIT ?)`,
  );
  const countOf = (teamId: string): number => Number(count.get(teamId)?.['nonces'] ?? 0);

  return {
    use: async ({ teamId, nonce, keptUntil }, now, limit, note) =>
      inTransaction(db, () => {
        if (find.get(teamId, nonce) !== undefined) return 'replayed';
        if (countOf(teamId) >= limit) purgeOwn.run(teamId, now, purgedPerUse);
        if (countOf(teamId) >= limit) return 'full';
        insert.run(teamId, nonce, keptUntil);
        if (note !== undefined) audit.write(note);
        return 'used';
      }),
    count: async (teamId) => countOf(teamId),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
