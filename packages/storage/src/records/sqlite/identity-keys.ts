import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { IdentityKeyRecord, IdentityKeyRecords } from '../identity-keys.ts';
import { inTransaction } from './transaction.ts';

function keyFromRow(row: Record<string, SQLOutputValue>): IdentityKeyRecord {
  return {
    id: String(row['id']),
    createdAt: Number(row['created_at']),
    signsFrom: Number(row['signs_from']),
    endsAt: row['ends_at'] === null ? undefined : Number(row['ends_at']),
    publicJwk: String(row['public_jwk']),
    sealedPrivateKey: String(row['sealed_private_key']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteIdentityKeys(db: DatabaseSync): IdentityKeyRecords {
  const all = db.prepare('SELECT * FROM identity_keys ORDER BY created_at DESC, rowid DESC LIMIT 100');
  const insert = db.prepare('INSERT INTO identity_keys VALUES (?, ?, ?, NULL, ?, ?)');
  const end = db.prepare('UPDATE identity_keys SET ends_at = ? WHERE id = ?');
  const purge = db.prepare(
    'DELETE FROM identity_keys WHERE rowid IN (SELECT rowid FROM identity_keys WHERE ends_at < ? LIMIT ?)',
  );

  return {
    list: async () => all.all().map(keyFromRow),
    add: async ({ id, createdAt, signsFrom, publicJwk, sealedPrivateKey }, newest, newestEndsAt) =>
      inTransaction(db, () => {
        const present = all.get();
        if ((present === undefined ? undefined : String(present['id'])) !== newest) return false;
        insert.run(id, createdAt, signsFrom, publicJwk, sealedPrivateKey);
        if (newest !== undefined) end.run(newestEndsAt, newest);
        return true;
      }),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
