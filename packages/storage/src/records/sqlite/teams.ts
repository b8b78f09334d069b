import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import type { TeamHoldings, TeamRecord, TeamRecords, TeamRecordsUsage } from '../teams.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { isDuplicate } from './constraint.ts';
import { inTransaction } from './transaction.ts';

const usageSql = `
  SELECT
    (SELECT count(*) FROM snapshots WHERE team_id = :team) AS snapshots,
    (SELECT coalesce(sum(size_bytes), 0) FROM snapshots WHERE team_id = :team) AS snapshot_bytes,
    (SELECT coalesce(sum(size_bytes), 0) FROM build_files WHERE team_id = :team) AS upload_bytes,
    (SELECT coalesce(sum(size_bytes), 0) FROM kv_namespaces WHERE team_id = :team) AS kv_bytes,
    (SELECT coalesce(sum(events), 0) FROM team_counts WHERE team_id = :team) AS events`;

const holdingsSql = `
  SELECT
    (SELECT count(*) FROM sandboxes WHERE team_id = :team AND state <> 'ended')
      + (SELECT count(*) FROM creations WHERE team_id = :team) AS sandboxes,
    (SELECT count(*) FROM snapshots WHERE team_id = :team) AS snapshots,
    (SELECT count(*) FROM templates WHERE team_id = :team) AS templates,
    (SELECT count(*) FROM functions WHERE team_id = :team) AS functions,
    (SELECT count(*) FROM volumes WHERE team_id = :team) AS volumes`;

function holdingsFromRow(row: Record<string, SQLOutputValue> = {}): TeamHoldings {
  return {
    sandboxes: Number(row['sandboxes']),
    snapshots: Number(row['snapshots']),
    templates: Number(row['templates']),
    functions: Number(row['functions']),
    volumes: Number(row['volumes']),
  };
}

function usageFromRow(row: Record<string, SQLOutputValue> = {}): TeamRecordsUsage {
  return {
    snapshots: Number(row['snapshots']),
    snapshotBytes: Number(row['snapshot_bytes']),
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

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteTeams(db: DatabaseSync, audit: AuditWriter): TeamRecords {
  const insert = db.prepare('INSERT INTO teams (id, name, is_default, created_at) VALUES (?, ?, ?, ?)');
  const byId = db.prepare('SELECT * FROM teams WHERE id = ?');
  const byDefault = db.prepare('SELECT * FROM teams WHERE is_default = 1');
  const usage = db.prepare(usageSql);
  const holdings = db.prepare(holdingsSql);
  const remove = db.prepare('DELETE FROM teams WHERE id = ? AND is_default = 0');
  const forgetCount = db.prepare('DELETE FROM team_counts WHERE team_id = ?');
  const all = db.prepare('SELECT * FROM teams ORDER BY created_at, id');

  return {
    create: async (team, note) => {
      try {
        changeWithNote(db, audit, note, () => insert.run(team.id, team.name, team.isDefault ? 1 : 0, team.createdAt));
      } catch (thrown) {
        if (!isDuplicate(thrown)) throw thrown;
        throw new SoulBoxError('name_taken', `Team "${team.id}" or a default team already exists.`);
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
    readHoldings: async (id) => holdingsFromRow(holdings.get({ team: id })),
    remove: async (id, note) =>
      inTransaction(db, () => {
        const held = holdingsFromRow(holdings.get({ team: id }));
        if (Object.values(held).some((count) => count > 0)) return false;
        const { changes } = remove.run(id);
        if (changes === 1) forgetCount.run(id);
        if (changes === 1 && note !== undefined) audit.write(note);
        return changes === 1;
      }),
  };
}
