import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { UserRecord, UserRecords } from '../users.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

function userFromRow(row: Record<string, SQLOutputValue>): UserRecord {
  return {
    id: String(row['id']),
    issuer: String(row['issuer']),
    subject: String(row['subject']),
    email: String(row['email']),
    name: String(row['name']),
    createdAt: Number(row['created_at']),
    lastSignInAt: row['last_sign_in_at'] === null ? undefined : Number(row['last_sign_in_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteUsers(db: DatabaseSync, audit: AuditWriter): UserRecords {
  const insert = db.prepare('INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)');
  const count = db.prepare('SELECT count(*) AS number FROM users');
  const byId = db.prepare('SELECT * FROM users WHERE id = ?');
  const bySubject = db.prepare(`SELECT * FROM users WHERE subject <> '' AND issuer = ? AND subject = ?`);
  const unbound = db.prepare(`SELECT * FROM users WHERE subject = '' AND email = ?`);
  const all = db.prepare('SELECT * FROM users ORDER BY created_at, id');
  const signIn = db.prepare(
    `UPDATE users SET issuer = :issuer, subject = :subject, email = :email, name = :name, last_sign_in_at = :at
     WHERE id = :id AND (subject = '' OR (issuer = :issuer AND subject = :subject))`,
  );
  const remove = db.prepare('DELETE FROM users WHERE id = ?');
  const found = (row: Record<string, SQLOutputValue> | undefined): UserRecord | undefined =>
    row === undefined ? undefined : userFromRow(row);

  return {
    create: async (user, limit, note) =>
      inTransaction(db, () => {
        const { id, issuer, subject, email, name, createdAt, lastSignInAt } = user;
        const present = subject === '' ? unbound.get(email) : bySubject.get(issuer, subject);
        if (present !== undefined) return 'user_exists';
        if (Number(count.get()?.['number']) >= limit) return 'limit_reached';
        insert.run(id, issuer, subject, email, name, createdAt, lastSignInAt ?? null);
        if (note !== undefined) audit.write(note);
        return 'created';
      }),
    find: async (id) => found(byId.get(id)),
    findBySubject: async (issuer, subject) => found(bySubject.get(issuer, subject)),
    findUnbound: async (email) => found(unbound.get(email)),
    noteSignIn: async (id, { issuer, subject, email, name, at }) =>
      signIn.run({ id, issuer, subject, email, name, at }).changes === 1,
    list: async () => all.all().map(userFromRow),
    remove: async (id, notes = []) =>
      inTransaction(db, () => {
        if (remove.run(id).changes !== 1) return false;
        for (const note of notes) audit.write(note);
        return true;
      }),
  };
}
