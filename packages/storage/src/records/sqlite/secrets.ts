import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { NewSecretVersion, SecretRecord, SecretRecords } from '../secrets.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

function secretFromRow(row: Record<string, SQLOutputValue>): SecretRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    currentVersion: Number(row['current_version']),
    // Written as JSON by this file.
    metadata: JSON.parse(String(row['metadata'])) as SecretRecord['metadata'],
    hosts: JSON.parse(String(row['hosts'])) as SecretRecord['hosts'],
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSecrets(db: DatabaseSync, audit: AuditWriter): SecretRecords {
  const count = db.prepare('SELECT count(*) AS number FROM secrets WHERE team_id = ?');
  const insert = db.prepare('INSERT INTO secrets VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const insertVersion = db.prepare('INSERT INTO secret_versions VALUES (?, ?, ?, ?)');
  const byId = db.prepare('SELECT * FROM secrets WHERE team_id = ? AND id = ?');
  const byName = db.prepare('SELECT * FROM secrets WHERE team_id = ? AND name = ?');
  const firstPage = db.prepare('SELECT * FROM secrets WHERE team_id = ? ORDER BY created_at DESC, id DESC LIMIT ?');
  const nextPage = db.prepare(
    `SELECT * FROM secrets WHERE team_id = ? AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?`,
  );
  const update = db.prepare(
    `UPDATE secrets SET current_version = ?3, metadata = coalesce(?4, metadata), updated_at = ?5
     WHERE team_id = ?1 AND id = ?2 AND current_version = ?3 - 1`,
  );
  const updateHosts = db.prepare('UPDATE secrets SET hosts = ?, updated_at = ? WHERE team_id = ? AND id = ?');
  const prune = db.prepare('DELETE FROM secret_versions WHERE secret_id = ? AND number <= ?');
  const value = db.prepare('SELECT sealed_value FROM secret_versions WHERE secret_id = ? AND number = ?');
  const remove = db.prepare('DELETE FROM secrets WHERE team_id = ? AND id = ?');

  const found = (row: Record<string, SQLOutputValue> | undefined): SecretRecord | undefined =>
    row === undefined ? undefined : secretFromRow(row);
  const addVersion = (version: NewSecretVersion): SecretRecord | undefined => {
    const { teamId, id, number, sealedValue, metadata, now, keep } = version;
    const json = metadata === undefined ? null : JSON.stringify(metadata);
    if (update.run(teamId, id, number, json, now).changes !== 1) return undefined;
    insertVersion.run(id, number, sealedValue, now);
    prune.run(id, number - keep);
    return found(byId.get(teamId, id));
  };

  return {
    create: async (record, sealedValue, limit, note) =>
      inTransaction(db, () => {
        if (byName.get(record.teamId, record.name) !== undefined) return 'name_taken';
        if (Number(count.get(record.teamId)?.['number']) >= limit) return 'limit_reached';
        const { id, teamId, name, currentVersion, metadata, hosts, createdAt, updatedAt } = record;
        const texts = [JSON.stringify(metadata), JSON.stringify(hosts)] as const;
        insert.run(id, teamId, name, currentVersion, texts[0], createdAt, updatedAt, texts[1]);
        insertVersion.run(id, currentVersion, sealedValue, createdAt);
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
      const secrets = rows.slice(0, limit).map(secretFromRow);
      const last = secrets.at(-1);
      const hasMore = rows.length > limit && last !== undefined;
      return { secrets, next: hasMore ? { createdAt: last.createdAt, id: last.id } : undefined };
    },
    addVersion: async (version, note) =>
      inTransaction(db, () => {
        const changed = addVersion(version);
        if (changed !== undefined && note !== undefined) audit.write(note);
        return changed;
      }),
    setHosts: async ({ teamId, id, hosts, now }, note) =>
      inTransaction(db, () => {
        if (updateHosts.run(JSON.stringify(hosts), now, teamId, id).changes !== 1) return undefined;
        if (note !== undefined) audit.write(note);
        return found(byId.get(teamId, id));
      }),
    findSealedValue: async (id, number) => {
      const row = value.get(id, number);
      return row === undefined ? undefined : String(row['sealed_value']);
    },
    remove: async (teamId, id, note) => changeWithNote(db, audit, note, () => remove.run(teamId, id)),
  };
}
