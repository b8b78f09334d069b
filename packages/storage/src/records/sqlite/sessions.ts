import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { SessionRecord, SessionRecords } from '../sessions.ts';
import { inTransaction } from './transaction.ts';

function sessionFromRow(row: Record<string, SQLOutputValue>): SessionRecord {
  return {
    id: String(row['id']),
    hash: String(row['hash']),
    userId: String(row['user_id']),
    createdAt: Number(row['created_at']),
    seenAt: Number(row['seen_at']),
    expiresAt: Number(row['expires_at']),
  };
}

/* eslint-disable @typescript-eslint/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSessions(db: DatabaseSync): SessionRecords {
  const insert = db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)');
  const trim = db.prepare(
    `DELETE FROM sessions WHERE id IN
       (SELECT id FROM sessions WHERE user_id = ? ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?)`,
  );
  const byHash = db.prepare('SELECT * FROM sessions WHERE hash = ?');
  const byId = db.prepare('SELECT * FROM sessions WHERE id = ?');
  const touch = db.prepare('UPDATE sessions SET seen_at = max(seen_at, ?) WHERE id = ?');
  const remove = db.prepare('DELETE FROM sessions WHERE id = ?');
  const removeOfUser = db.prepare('DELETE FROM sessions WHERE user_id = ?');
  const purge = db.prepare(
    'DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires_at < ? LIMIT ?)',
  );
  const found = (row: Record<string, SQLOutputValue> | undefined): SessionRecord | undefined =>
    row === undefined ? undefined : sessionFromRow(row);

  return {
    create: async ({ id, hash, userId, createdAt, seenAt, expiresAt }, keep) =>
      inTransaction(db, () => {
        insert.run(id, hash, userId, createdAt, seenAt, expiresAt);
        trim.run(userId, keep);
      }),
    findByHash: async (hash) => found(byHash.get(hash)),
    find: async (id) => found(byId.get(id)),
    touch: async (id, seenAt) => void touch.run(seenAt, id),
    remove: async (id) => remove.run(id).changes === 1,
    removeOfUser: async (userId) => Number(removeOfUser.run(userId).changes),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
