import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { VolumeRecord, VolumeRecords } from '../volumes.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';

function volumeFromRow(row: Record<string, SQLOutputValue>): VolumeRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    sizeMb: row['size_mb'] === null ? undefined : Number(row['size_mb']),
    createdAt: Number(row['created_at']),
    creationId: String(row['creation_id']),
  };
}

/* eslint-disable @typescript-eslint/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteVolumes(db: DatabaseSync, audit: AuditWriter): VolumeRecords {
  const count = db.prepare('SELECT count(*) AS number FROM volumes WHERE team_id = ?');
  const insert = db.prepare(
    'INSERT INTO volumes (id, team_id, name, size_mb, created_at, creation_id, is_removing) VALUES (?, ?, ?, ?, ?, ?, 0)',
  );
  const present = 'SELECT * FROM volumes WHERE is_removing = 0 AND team_id = ?';
  const byId = db.prepare(`${present} AND id = ?`);
  const byName = db.prepare(`${present} AND name = ?`);
  const byCreation = db.prepare(`${present} AND creation_id = ? AND creation_id <> ''`);
  const all = db.prepare(`${present} ORDER BY created_at, id`);
  const begin = db.prepare('UPDATE volumes SET is_removing = 1 WHERE is_removing = 0 AND team_id = ? AND id = ?');
  const removing = db.prepare('SELECT id, team_id FROM volumes WHERE is_removing = 1 ORDER BY id');
  const finish = db.prepare('DELETE FROM volumes WHERE is_removing = 1 AND id = ?');

  const found = (row: Record<string, SQLOutputValue> | undefined): VolumeRecord | undefined =>
    row === undefined ? undefined : volumeFromRow(row);
  return {
    create: async ({ id, teamId, name, sizeMb, createdAt, creationId }, limit, note) =>
      inTransaction(db, () => {
        if (byName.get(teamId, name) !== undefined) return 'name_taken';
        if (Number(count.get(teamId)?.['number']) >= limit) return 'limit_reached';
        insert.run(id, teamId, name, sizeMb ?? null, createdAt, creationId);
        if (note !== undefined) audit.write(note);
        return 'created';
      }),
    find: async (teamId, id) => found(byId.get(teamId, id)),
    findByName: async (teamId, name) => found(byName.get(teamId, name)),
    findByCreation: async (teamId, creationId) => found(byCreation.get(teamId, creationId)),
    list: async (teamId) => all.all(teamId).map(volumeFromRow),
    beginRemove: async (teamId, id, note) => changeWithNote(db, audit, note, () => begin.run(teamId, id)),
    listRemoving: async () => removing.all().map((row) => ({ id: String(row['id']), teamId: String(row['team_id']) })),
    finishRemove: async (id) => void finish.run(id),
  };
}
