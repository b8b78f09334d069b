import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { AuditNote } from '../audit.ts';
import type { SshKeyOwner, SshKeyRecord, SshKeyRecords } from '../ssh-keys.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

const numberOf = (value: SQLOutputValue | undefined): number | undefined =>
  value === null || value === undefined ? undefined : Number(value);

function ownerFromRow(row: Record<string, SQLOutputValue>): SshKeyOwner {
  return row['team_id'] === null
    ? { kind: 'person', userId: String(row['user_id']) }
    : { kind: 'team', teamId: String(row['team_id']) };
}

function keyFromRow(row: Record<string, SQLOutputValue>): SshKeyRecord {
  return {
    id: String(row['id']),
    owner: ownerFromRow(row),
    name: String(row['name']),
    algorithm: String(row['algorithm']),
    publicKey: String(row['public_key']),
    fingerprint: String(row['fingerprint']),
    // Written as JSON by this file.
    templates: JSON.parse(String(row['templates'])) as SshKeyRecord['templates'],
    createdAt: Number(row['created_at']),
    expiresAt: numberOf(row['expires_at']),
    lastUsedAt: numberOf(row['last_used_at']),
  };
}

/** The owner as the parameters of `team_id IS ? AND user_id IS ?`. */
const ids = (owner: SshKeyOwner): [string | null, string | null] =>
  owner.kind === 'team' ? [owner.teamId, null] : [null, owner.userId];

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSshKeys(db: DatabaseSync, audit: AuditWriter): SshKeyRecords {
  const owned = 'team_id IS ? AND user_id IS ?';
  const insert = db.prepare('INSERT INTO ssh_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const present = db.prepare(`SELECT 1 FROM ssh_keys WHERE ${owned} AND fingerprint = ?`);
  const count = db.prepare(`SELECT count(*) AS number FROM ssh_keys WHERE ${owned}`);
  const list = db.prepare(`SELECT * FROM ssh_keys WHERE ${owned} ORDER BY created_at, id`);
  const forTeam = db.prepare(
    `SELECT * FROM ssh_keys WHERE fingerprint = ?1 AND (team_id = ?2
       OR user_id IN (SELECT user_id FROM memberships WHERE team_id = ?2)) ORDER BY team_id IS NULL, id LIMIT ?3`,
  );
  const byId = db.prepare('SELECT * FROM ssh_keys WHERE id = ?');
  const touch = db.prepare('UPDATE ssh_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?');
  const remove = db.prepare(`DELETE FROM ssh_keys WHERE ${owned} AND id = ?`);
  const write = (notes: readonly AuditNote[]): void => {
    for (const note of notes) audit.write(note);
  };

  return {
    add: async (key, limit, notes = []) =>
      inTransaction(db, () => {
        const owner = ids(key.owner);
        if (present.get(...owner, key.fingerprint) !== undefined) return 'present';
        if (Number(count.get(...owner)?.['number']) >= limit) return 'limit_reached';
        const { id, name, algorithm, publicKey, fingerprint, templates, createdAt, expiresAt, lastUsedAt } = key;
        const texts = [name, algorithm, publicKey, fingerprint, JSON.stringify(templates)] as const;
        insert.run(id, ...owner, ...texts, createdAt, expiresAt ?? null, lastUsedAt ?? null);
        write(notes);
        return 'added';
      }),
    list: async (owner) => list.all(...ids(owner)).map(keyFromRow),
    findFor: async (teamId, fingerprint, limit) => forTeam.all(fingerprint, teamId, limit).map(keyFromRow),
    find: async (id) => {
      const row = byId.get(id);
      return row === undefined ? undefined : keyFromRow(row);
    },
    touch: async (id, usedAt) => void touch.run(usedAt, id),
    remove: async (owner, id, notes = []) =>
      inTransaction(db, () => {
        const isRemoved = remove.run(...ids(owner), id).changes === 1;
        if (isRemoved) write(notes);
        return isRemoved;
      }),
  };
}
