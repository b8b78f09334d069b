import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { BuildFileRecord, BuildFileRecords } from '../build-files.ts';
import { inTransaction } from './transaction.ts';

function fileFromRow(row: Record<string, SQLOutputValue>): BuildFileRecord {
  return {
    teamId: String(row['team_id']),
    hash: String(row['hash']),
    sizeBytes: Number(row['size_bytes']),
    usedAt: Number(row['used_at']),
  };
}

const reserveSql = `
  INSERT INTO build_uploads (id, team_id, hash, size_bytes)
  SELECT :id, :team, :hash, :size
  WHERE (SELECT coalesce(sum(size_bytes), 0) FROM build_files WHERE team_id = :team AND hash <> :hash)
      + (SELECT coalesce(sum(size_bytes), 0) FROM build_uploads WHERE team_id = :team) + :size <= :limit`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteBuildFiles(db: DatabaseSync): BuildFileRecords {
  const reserve = db.prepare(reserveSql);
  const put = db.prepare(
    `INSERT OR REPLACE INTO build_files (team_id, hash, size_bytes, used_at)
     SELECT team_id, hash, size_bytes, ? FROM build_uploads WHERE id = ?`,
  );
  const abandon = db.prepare('DELETE FROM build_uploads WHERE id = ?');
  const clear = db.prepare('DELETE FROM build_uploads');
  const use = db.prepare('UPDATE build_files SET used_at = max(used_at, ?) WHERE team_id = ? AND hash = ? RETURNING *');
  const unused = db.prepare('SELECT * FROM build_files WHERE used_at < ? ORDER BY used_at LIMIT ?');
  const remove = db.prepare('DELETE FROM build_files WHERE team_id = ? AND hash = ? AND used_at < ?');

  return {
    reserve: async ({ id, teamId: team, hash, sizeBytes: size }, limit) =>
      reserve.run({ id, team, hash, size, limit }).changes === 1,
    complete: async (uploadId, now) =>
      inTransaction(db, () => {
        put.run(now, uploadId);
        abandon.run(uploadId);
      }),
    abandon: async (uploadId) => void abandon.run(uploadId),
    clearReserved: async () => Number(clear.run().changes),
    use: async (teamId, hash, now) => {
      const row = use.get(now, teamId, hash);
      return row === undefined ? undefined : fileFromRow(row);
    },
    listUnused: async (before, limit) => unused.all(before, limit).map(fileFromRow),
    remove: async (teamId, hash, before) => remove.run(teamId, hash, before).changes === 1,
  };
}
