import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { BucketRecord, BucketRecords } from '../buckets.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

function bucketFromRow(row: Record<string, SQLOutputValue>): BucketRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    url: String(row['url']),
    hasCredentials: row['sealed_credentials'] !== '',
    isReadOnly: row['is_read_only'] === 1,
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteBuckets(db: DatabaseSync, audit: AuditWriter): BucketRecords {
  const count = db.prepare('SELECT count(*) AS number FROM buckets WHERE team_id = ?');
  const insert = db.prepare(
    `INSERT INTO buckets (id, team_id, name, url, sealed_credentials, is_read_only, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const byId = db.prepare('SELECT * FROM buckets WHERE team_id = ? AND id = ?');
  const byName = db.prepare('SELECT * FROM buckets WHERE team_id = ? AND name = ?');
  const firstPage = db.prepare('SELECT * FROM buckets WHERE team_id = ? ORDER BY created_at DESC, id DESC LIMIT ?');
  const nextPage = db.prepare(
    `SELECT * FROM buckets WHERE team_id = ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?`,
  );
  const update = db.prepare(
    `UPDATE buckets SET sealed_credentials = coalesce(?3, sealed_credentials),
       is_read_only = coalesce(?4, is_read_only), updated_at = ?5
     WHERE team_id = ?1 AND id = ?2`,
  );
  const remove = db.prepare('DELETE FROM buckets WHERE team_id = ? AND id = ?');

  const found = (row: Record<string, SQLOutputValue> | undefined): BucketRecord | undefined =>
    row === undefined ? undefined : bucketFromRow(row);

  return {
    create: async (bucket, limit, note) =>
      inTransaction(db, () => {
        if (byName.get(bucket.teamId, bucket.name) !== undefined) return 'name_taken';
        if (Number(count.get(bucket.teamId)?.['number']) >= limit) return 'limit_reached';
        const { id, teamId, name, url, sealedCredentials, isReadOnly, createdAt, updatedAt } = bucket;
        insert.run(id, teamId, name, url, sealedCredentials, Number(isReadOnly), createdAt, updatedAt);
        if (note !== undefined) audit.write(note);
        return 'created';
      }),
    findById: async (teamId, id) => found(byId.get(teamId, id)),
    findByName: async (teamId, name) => found(byName.get(teamId, name)),
    list: async ({ teamId, after, limit }) => {
      const rows =
        after === undefined
          ? firstPage.all(teamId, limit + 1)
          : nextPage.all(teamId, after.createdAt, after.id, limit + 1);
      const buckets = rows.slice(0, limit).map(bucketFromRow);
      const last = buckets.at(-1);
      const hasMore = rows.length > limit && last !== undefined;
      return { buckets, next: hasMore ? { createdAt: last.createdAt, id: last.id } : undefined };
    },
    change: async ({ teamId, id, sealedCredentials, isReadOnly, now }, note) =>
      inTransaction(db, () => {
        const readOnly = isReadOnly === undefined ? null : Number(isReadOnly);
        if (update.run(teamId, id, sealedCredentials ?? null, readOnly, now).changes !== 1) return undefined;
        if (note !== undefined) audit.write(note);
        return found(byId.get(teamId, id));
      }),
    findSealedCredentials: async (teamId, id) => {
      const row = byId.get(teamId, id);
      return row === undefined ? undefined : String(row['sealed_credentials']);
    },
    remove: async (teamId, id, note) => changeWithNote(db, audit, note, () => remove.run(teamId, id)),
  };
}
