import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { AuditNote } from '../audit.ts';
import type { VolumeContents, VolumeCreation, VolumeRecord, VolumeRecords } from '../volumes.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

function contentsFromRow(row: Record<string, SQLOutputValue>): VolumeContents {
  return { id: String(row['id']), teamId: String(row['team_id']), groupId: String(row['group_id']) };
}

function volumeFromRow(row: Record<string, SQLOutputValue>): VolumeRecord {
  return {
    ...contentsFromRow(row),
    name: String(row['name']),
    sizeMb: row['size_mb'] === null ? undefined : Number(row['size_mb']),
    sourceId: row['source_id'] === null ? undefined : String(row['source_id']),
    isReadOnly: row['is_read_only'] === 1,
    createdAt: Number(row['created_at']),
    creationId: String(row['creation_id']),
    isUsed: row['is_used'] === 1,
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteVolumes(db: DatabaseSync, audit: AuditWriter): VolumeRecords {
  const count = db.prepare('SELECT count(*) AS number FROM volumes WHERE team_id = ?');
  const insert = db.prepare(
    `INSERT INTO volumes (id, team_id, group_id, name, size_mb, source_id, is_read_only, created_at, creation_id, is_removing, is_used)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const taken = db.prepare('SELECT id FROM volumes WHERE is_removing <> 1 AND team_id = ? AND name = ?');
  const finishOne = db.prepare('UPDATE volumes SET is_removing = 0 WHERE is_removing = 2 AND id = ?');
  const giveUpOne = db.prepare('UPDATE volumes SET is_removing = 1 WHERE is_removing = 2 AND id = ?');
  const present = 'SELECT * FROM volumes WHERE is_removing = 0 AND team_id = ?';
  const byId = db.prepare(`${present} AND id = ?`);
  const byName = db.prepare(`${present} AND name = ?`);
  const byCreation = db.prepare(`${present} AND creation_id = ? AND creation_id <> ''`);
  const all = db.prepare(`${present} ORDER BY created_at, id`);
  const everywhere = db.prepare('SELECT id, team_id, group_id, is_used FROM volumes WHERE is_removing = 0 ORDER BY id');
  const begin = db.prepare('UPDATE volumes SET is_removing = 1 WHERE is_removing = 0 AND team_id = ? AND id = ?');
  const removing = db.prepare('SELECT id, team_id, group_id FROM volumes WHERE is_removing = 1 ORDER BY id');
  const copying = db.prepare('SELECT id, team_id, group_id FROM volumes WHERE is_removing = 2 ORDER BY id');
  const finish = db.prepare('DELETE FROM volumes WHERE is_removing = 1 AND id = ?');
  const use = db.prepare('UPDATE volumes SET is_used = 1 WHERE is_used = 0 AND id = ?');

  const found = (row: Record<string, SQLOutputValue> | undefined): VolumeRecord | undefined =>
    row === undefined ? undefined : volumeFromRow(row);
  const add = (record: VolumeRecord, limit: number, state: 0 | 2, note?: AuditNote): VolumeCreation =>
    inTransaction(db, () => {
      const { id, teamId, groupId, name, sizeMb, sourceId, isReadOnly, createdAt, creationId, isUsed } = record;
      if (taken.get(teamId, name) !== undefined) return 'name_taken';
      if (Number(count.get(teamId)?.['number']) >= limit) return 'limit_reached';
      const optional = [sizeMb ?? null, sourceId ?? null, Number(isReadOnly)] as const;
      insert.run(id, teamId, groupId, name, ...optional, createdAt, creationId, state, Number(isUsed));
      if (note !== undefined) audit.write(note);
      return 'created';
    });
  return {
    create: async (record, limit, note) => add(record, limit, 0, note),
    beginCopy: async (record, limit) => add(record, limit, 2),
    finishCopy: async (id, note) => changeWithNote(db, audit, note, () => finishOne.run(id)),
    giveUpCopy: async (id) => void giveUpOne.run(id),
    listCopying: async () => copying.all().map(contentsFromRow),
    noteUse: async (id) => void use.run(id),
    find: async (teamId, id) => found(byId.get(teamId, id)),
    findByName: async (teamId, name) => found(byName.get(teamId, name)),
    findByCreation: async (teamId, creationId) => found(byCreation.get(teamId, creationId)),
    list: async (teamId) => all.all(teamId).map(volumeFromRow),
    beginRemove: async (teamId, id, note) => changeWithNote(db, audit, note, () => begin.run(teamId, id)),
    listAll: async () => everywhere.all().map((row) => ({ ...contentsFromRow(row), isUsed: row['is_used'] === 1 })),
    listRemoving: async () => removing.all().map(contentsFromRow),
    finishRemove: async (id) => void finish.run(id),
  };
}
