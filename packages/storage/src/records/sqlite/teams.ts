import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord, TeamRecords, TeamRecordsUsage } from '../teams.ts';
import { isDuplicate } from './constraint.ts';

const usageSql = `
  SELECT
    (SELECT count(*) FROM snapshots WHERE team_id = :team) AS snapshots,
    (SELECT coalesce(sum(size_bytes), 0) FROM build_files WHERE team_id = :team) AS upload_bytes,
    (SELECT coalesce(sum(size_bytes), 0) FROM kv_namespaces WHERE team_id = :team) AS kv_bytes,
    (SELECT coalesce(sum(events), 0) FROM team_counts WHERE team_id = :team) AS events`;

function usageFromRow(row: Record<string, SQLOutputValue> = {}): TeamRecordsUsage {
  return {
    snapshots: Number(row['snapshots']),
    uploadBytes: Number(row['upload_bytes']),
    kvBytes: Number(row['kv_bytes']),
    events: Number(row['events']),
  };
}

function teamFromRow(row: Record<string, SQLOutputValue>): TeamRecord {
  return {
    id: String(row['id']),
    name: String(row['name']),
    isDefault: row['is_default'] === 1,
    createdAt: Number(row['created_at']),
  };
}

/* eslint-disable @typescript-eslint/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteTeams(db: DatabaseSync): TeamRecords {
  const insert = db.prepare('INSERT INTO teams (id, name, is_default, created_at) VALUES (?, ?, ?, ?)');
  const byId = db.prepare('SELECT * FROM teams WHERE id = ?');
  const byDefault = db.prepare('SELECT * FROM teams WHERE is_default = 1');
  const usage = db.prepare(usageSql);
  const all = db.prepare('SELECT * FROM teams ORDER BY created_at, id');

  return {
    create: async (team) => {
      try {
        insert.run(team.id, team.name, team.isDefault ? 1 : 0, team.createdAt);
      } catch (thrown) {
        if (!isDuplicate(thrown)) throw thrown;
        throw new SoulBoxError('name_taken', `The team ${team.id} exists, or there is a default team already.`);
      }
    },
    find: async (id) => {
      const row = byId.get(id);
      return row === undefined ? undefined : teamFromRow(row);
    },
    findDefault: async () => {
      const row = byDefault.get();
      return row === undefined ? undefined : teamFromRow(row);
    },
    list: async () => all.all().map(teamFromRow),
    readUsage: async (id) => usageFromRow(usage.get({ team: id })),
  };
}
