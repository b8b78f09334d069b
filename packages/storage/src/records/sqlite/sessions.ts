import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { AuditWriter } from './audit-writer.ts';
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
    providerSid: String(row['provider_sid']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSessions(db: DatabaseSync, audit: AuditWriter): SessionRecords {
  const insert = db.prepare('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)');
  const trim = db.prepare(
    `DELETE FROM sessions WHERE id IN
       (SELECT id FROM sessions WHERE user_id = ? ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?)`,
  );
  const byHash = db.prepare('SELECT * FROM sessions WHERE hash = ?');
  const byId = db.prepare('SELECT * FROM sessions WHERE id = ?');
  const touch = db.prepare('UPDATE sessions SET seen_at = max(seen_at, ?) WHERE id = ?');
  const remove = db.prepare('DELETE FROM sessions WHERE id = ?');
  const end = db.prepare('DELETE FROM sessions WHERE user_id = ?');
  const endTokens = db.prepare('DELETE FROM personal_tokens WHERE user_id = ? AND is_of_program = 1');
  const endOfSid = db.prepare("DELETE FROM sessions WHERE user_id = ? AND provider_sid IN (?, '')");
  const endTokensOfSid = db.prepare(
    "DELETE FROM personal_tokens WHERE user_id = ? AND is_of_program = 1 AND provider_sid IN (?, '')",
  );
  const users = db.prepare(
    `SELECT user_id FROM sessions WHERE provider_sid = ?1
     UNION SELECT user_id FROM personal_tokens WHERE is_of_program = 1 AND provider_sid = ?1`,
  );
  const purge = db.prepare(
    'DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires_at < ? LIMIT ?)',
  );
  const found = (row: Record<string, SQLOutputValue> | undefined): SessionRecord | undefined =>
    row === undefined ? undefined : sessionFromRow(row);

  return {
    create: async ({ id, hash, userId, createdAt, seenAt, expiresAt, providerSid }, keep, notes = []) =>
      inTransaction(db, () => {
        insert.run(id, hash, userId, createdAt, seenAt, expiresAt, providerSid);
        trim.run(userId, keep);
        for (const note of notes) audit.write(note);
      }),
    findByHash: async (hash) => found(byHash.get(hash)),
    find: async (id) => found(byId.get(id)),
    touch: async (id, seenAt) => void touch.run(seenAt, id),
    remove: async (id) => remove.run(id).changes === 1,
    endOfUser: async (userId, { providerSid, notes = [] } = {}) =>
      inTransaction(db, () => {
        const args = providerSid === undefined ? [userId] : [userId, providerSid];
        const [ofSessions, ofTokens] = providerSid === undefined ? [end, endTokens] : [endOfSid, endTokensOfSid];
        const sessions = Number(ofSessions.run(...args).changes);
        const tokens = Number(ofTokens.run(...args).changes);
        if (sessions + tokens > 0) for (const note of notes) audit.write(note);
        return { sessions, tokens };
      }),
    findUsers: async (providerSid) => users.all(providerSid).map((row) => String(row['user_id'])),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
