import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import type { ApiKeyRecord, ApiKeyRecords } from '../api-keys.ts';
import type { AuditWriter } from './audit-writer.ts';
import { changeWithNote } from './audit-writer.ts';
import { isDuplicate } from './constraint.ts';

function keyFromRow(row: Record<string, SQLOutputValue>): ApiKeyRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    hash: String(row['hash']),
    mask: {
      prefix: String(row['prefix']),
      valueLength: Number(row['value_length']),
      maskedValuePrefix: String(row['masked_prefix']),
      maskedValueSuffix: String(row['masked_suffix']),
    },
    createdAt: Number(row['created_at']),
    isolation: String(row['isolation']),
    lastUsedAt: row['last_used_at'] === null ? undefined : Number(row['last_used_at']),
  };
}

/* eslint-disable @typescript-eslint/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteApiKeys(db: DatabaseSync, audit: AuditWriter): ApiKeyRecords {
  const insert = db.prepare(
    `INSERT INTO api_keys
       (id, team_id, name, hash, prefix, value_length, masked_prefix, masked_suffix, created_at, last_used_at, isolation)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const byHash = db.prepare('SELECT * FROM api_keys WHERE hash = ?');
  const byId = db.prepare('SELECT * FROM api_keys WHERE team_id = ? AND id = ?');
  const ofTeam = db.prepare('SELECT * FROM api_keys WHERE team_id = ? ORDER BY created_at, id');
  const rename = db.prepare('UPDATE api_keys SET name = ? WHERE team_id = ? AND id = ?');
  const remove = db.prepare('DELETE FROM api_keys WHERE team_id = ? AND id = ?');
  const touch = db.prepare('UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?');

  return {
    create: async (key, note) => {
      const { mask } = key;
      try {
        changeWithNote(db, audit, note, () =>
          insert.run(
            ...[key.id, key.teamId, key.name, key.hash],
            ...[mask.prefix, mask.valueLength, mask.maskedValuePrefix, mask.maskedValueSuffix],
            ...[key.createdAt, key.lastUsedAt ?? null, key.isolation],
          ),
        );
      } catch (thrown) {
        if (!isDuplicate(thrown)) throw thrown;
        throw new SoulBoxError('name_taken', `API key "${key.id}" already exists.`);
      }
    },
    findByHash: async (hash) => {
      const row = byHash.get(hash);
      return row === undefined ? undefined : keyFromRow(row);
    },
    find: async (teamId, id) => {
      const row = byId.get(teamId, id);
      return row === undefined ? undefined : keyFromRow(row);
    },
    list: async (teamId) => ofTeam.all(teamId).map(keyFromRow),
    rename: async (teamId, id, name, note) => changeWithNote(db, audit, note, () => rename.run(name, teamId, id)),
    remove: async (teamId, id, note) => changeWithNote(db, audit, note, () => remove.run(teamId, id)),
    touch: async (id, usedAt) => void touch.run(usedAt, id),
  };
}
