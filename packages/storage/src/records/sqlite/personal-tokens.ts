import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { AuditWriter } from './audit-writer.ts';
import type { PersonalTokenRecord, PersonalTokenRecords } from '../personal-tokens.ts';
import { inTransaction } from './transaction.ts';

function tokenFromRow(row: Record<string, SQLOutputValue>): PersonalTokenRecord {
  return {
    id: String(row['id']),
    hash: String(row['hash']),
    userId: String(row['user_id']),
    name: String(row['name']),
    suffix: String(row['suffix']),
    isOfProgram: row['is_of_program'] === 1,
    createdAt: Number(row['created_at']),
    expiresAt: Number(row['expires_at']),
    lastUsedAt: row['last_used_at'] === null ? undefined : Number(row['last_used_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqlitePersonalTokens(db: DatabaseSync, audit: AuditWriter): PersonalTokenRecords {
  const insert = db.prepare('INSERT INTO personal_tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const count = db.prepare('SELECT count(*) AS number FROM personal_tokens WHERE user_id = ?');
  const expire = db.prepare('DELETE FROM personal_tokens WHERE user_id = ? AND expires_at <= ?');
  const byHash = db.prepare('SELECT * FROM personal_tokens WHERE hash = ?');
  const byId = db.prepare('SELECT * FROM personal_tokens WHERE id = ?');
  const ofUser = db.prepare('SELECT * FROM personal_tokens WHERE user_id = ? ORDER BY created_at DESC, rowid DESC');
  const touch = db.prepare('UPDATE personal_tokens SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?');
  const remove = db.prepare('DELETE FROM personal_tokens WHERE user_id = ? AND id = ?');
  const session = db.prepare('SELECT provider_sid FROM sessions WHERE id = ? AND user_id = ?');
  const purge = db.prepare(
    'DELETE FROM personal_tokens WHERE rowid IN (SELECT rowid FROM personal_tokens WHERE expires_at < ? LIMIT ?)',
  );
  const found = (row: Record<string, SQLOutputValue> | undefined): PersonalTokenRecord | undefined =>
    row === undefined ? undefined : tokenFromRow(row);

  return {
    create: async (
      { id, hash, userId, name, suffix, isOfProgram, createdAt, expiresAt, lastUsedAt },
      limit,
      of,
      notes = [],
    ) =>
      inTransaction(db, () => {
        expire.run(userId, createdAt);
        if (Number(count.get(userId)?.['number']) >= limit) return 'limit_reached';
        const row = of === undefined ? undefined : session.get(of, userId);
        if (of !== undefined && row === undefined) return 'session_ended';
        const providerSid = String(row?.['provider_sid'] ?? '');
        const times = [createdAt, expiresAt, lastUsedAt ?? null];
        insert.run(id, hash, userId, name, suffix, ...times, Number(isOfProgram), providerSid);
        for (const note of notes) audit.write(note);
        return 'created';
      }),
    findByHash: async (hash) => found(byHash.get(hash)),
    find: async (id) => found(byId.get(id)),
    list: async (userId) => ofUser.all(userId).map(tokenFromRow),
    touch: async (id, usedAt) => void touch.run(usedAt, id),
    remove: async (userId, id) => remove.run(userId, id).changes === 1,
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
