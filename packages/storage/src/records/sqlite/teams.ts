import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import type { TeamRecord, TeamRecords } from '../teams.ts';
import { isDuplicate } from './constraint.ts';

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
  };
}
