import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { TemplateRecord, TemplateRecords } from '../templates.ts';
import { runsSql } from './sandbox-filter.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { tagTable } from './template-tags.ts';
import { inTransaction } from './transaction.ts';

function templateFromRow(row: Record<string, SQLOutputValue>): TemplateRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    isPublic: row['is_public'] === 1,
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
    lastSpawnedAt: row['last_spawned_at'] === null ? undefined : Number(row['last_spawned_at']),
    spawnCount: Number(row['spawn_count']),
  };
}

const ensureSql = `
  INSERT INTO templates (id, team_id, name, is_public, created_at, updated_at, spawn_count)
  SELECT :id, :team, :name, 0, :now, :now, 0
  WHERE (SELECT count(*) FROM templates WHERE team_id = :team) < :limit
  ON CONFLICT (team_id, name) DO NOTHING`;

const inUseSql = `
  SELECT 1 FROM sandboxes WHERE template_id = ?1 AND (state = 'paused' OR ${runsSql.replace('?', '?2')})
  UNION ALL SELECT 1 FROM creations WHERE template_id = ?1`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteTemplates(db: DatabaseSync, audit: AuditWriter): TemplateRecords {
  const tags = tagTable(db);
  const ensure = db.prepare(ensureSql);
  const byId = db.prepare('SELECT * FROM templates WHERE id = ?');
  const byName = db.prepare('SELECT * FROM templates WHERE team_id = ? AND name = ?');
  const publicOne = db.prepare(
    'SELECT * FROM templates WHERE name = ? AND is_public = 1 ORDER BY created_at, id LIMIT 1',
  );
  const ofTeam = db.prepare('SELECT * FROM templates WHERE team_id = ? ORDER BY created_at DESC, id DESC');
  const setPublic = db.prepare('UPDATE templates SET is_public = ?, updated_at = ? WHERE id = ?');
  const spawned = db.prepare('UPDATE templates SET spawn_count = spawn_count + 1, last_spawned_at = ? WHERE id = ?');
  const inUse = db.prepare(inUseSql);
  const buildsOf = db.prepare('SELECT id FROM builds WHERE template_id = ?');
  const remove = db.prepare('DELETE FROM templates WHERE id = ?');
  const touch = db.prepare('UPDATE templates SET updated_at = ? WHERE id = ?');

  const found = (row: Record<string, SQLOutputValue> | undefined): TemplateRecord | undefined =>
    row === undefined ? undefined : templateFromRow(row);

  return {
    ensure: async ({ id, teamId: team, name, createdAt: now }, limit) => {
      ensure.run({ id, team, name, now, limit });
      return found(byName.get(team, name));
    },
    findById: async (id) => found(byId.get(id)),
    findByName: async (teamId, name) => found(byName.get(teamId, name)),
    findPublic: async (name) => found(publicOne.get(name)),
    list: async (teamId) => ofTeam.all(teamId).map(templateFromRow),
    setPublic: async (id, isPublic, now, note) =>
      void changeWithNote(db, audit, note, () => setPublic.run(isPublic ? 1 : 0, now, id)),
    noteSpawn: async (id, now) => void spawned.run(now, id),
    remove: async (id, aliveAfter) =>
      inTransaction(db, () => {
        if (byId.get(id) === undefined) return undefined;
        if (inUse.get(id, aliveAfter) !== undefined) return 'in_use';
        const builds = buildsOf.all(id).map((row) => String(row['id']));
        remove.run(id);
        return builds;
      }),

    listTags: async (id) => tags.list(id),
    findTag: async (id, tag) => tags.find(id, tag),
    assignTags: async (id, buildId, names, now) =>
      inTransaction(db, () => {
        touch.run(now, id);
        return tags.assign(id, buildId, names, now);
      }),
    removeTags: async (id, names, now) =>
      inTransaction(db, () => {
        if (!names.every((tag) => tags.find(id, tag) !== undefined)) return undefined;
        touch.run(now, id);
        return tags.remove(id, names);
      }),
  };
}
