import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { eventOfCheckpoint } from '../lifecycle-event.ts';
import type { SnapshotListQuery, SnapshotRecord, SnapshotRecords } from '../snapshots.ts';
import { isDuplicate, isMissingParent } from './constraint.ts';
import type { EventLog } from './event-log.ts';
import { sandboxFromRow } from './sandbox-row.ts';

function snapshotFromRow(row: Record<string, SQLOutputValue>): SnapshotRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    sandboxId: String(row['sandbox_id']),
    templateId: String(row['template_id']),
    name: String(row['name']),
    tag: String(row['tag']),
    state: row['state'] as SnapshotRecord['state'],
    createdAt: Number(row['created_at']),
    cpuCount: Number(row['cpu_count']),
    memoryMb: Number(row['memory_mb']),
    diskSizeMb: Number(row['disk_size_mb']),
    isolation: String(row['isolation']),
    sizeBytes: Number(row['size_bytes']),
  };
}

/** In the order of the columns. */
function rowFromSnapshot(snapshot: SnapshotRecord): SQLInputValue[] {
  return [
    ...[snapshot.id, snapshot.teamId, snapshot.sandboxId, snapshot.templateId, snapshot.name, snapshot.tag],
    ...[snapshot.state, snapshot.createdAt, snapshot.cpuCount, snapshot.memoryMb, snapshot.diskSizeMb],
    ...[snapshot.isolation, snapshot.sizeBytes],
  ];
}

function filterOf(query: SnapshotListQuery): { where: string; values: SQLInputValue[] } {
  const where = ["state = 'ready'", 'team_id = ?'];
  const values: SQLInputValue[] = [query.teamId];
  const equal = (column: string, value: string | undefined): void => {
    if (value === undefined) return;
    where.push(`${column} = ?`);
    values.push(value);
  };
  equal('sandbox_id', query.sandboxId);
  equal('name', query.name);
  equal('tag', query.tag);
  if (query.after !== undefined) {
    where.push('(created_at, id) < (?, ?)');
    values.push(query.after.createdAt, query.after.id);
  }
  return { where: where.join(' AND '), values };
}

const columnCount = 13;
const places = Array.from({ length: columnCount }, (_, index) => `?${index + 1}`).join(', ');

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSnapshots(db: DatabaseSync, log: EventLog): SnapshotRecords {
  const begin = db.prepare(
    `INSERT INTO snapshots SELECT ${places}
     WHERE (SELECT count(*) FROM snapshots WHERE team_id = ?2 AND state <> 'deleting') < ?${columnCount + 1}`,
  );
  const insert = db.prepare(`INSERT INTO snapshots VALUES (${places})`);
  const byId = db.prepare('SELECT * FROM snapshots WHERE id = ?');
  const ownById = db.prepare("SELECT * FROM snapshots WHERE team_id = ? AND id = ? AND state = 'ready'");
  const byName = db.prepare("SELECT * FROM snapshots WHERE team_id = ? AND name = ? AND tag = ? AND state = 'ready'");
  const all = db.prepare('SELECT * FROM snapshots');
  const ready = db.prepare("UPDATE snapshots SET state = 'ready', created_at = ?, size_bytes = ? WHERE id = ?");
  const beginDelete = db.prepare("UPDATE snapshots SET state = 'deleting' WHERE id = ? AND state <> 'deleting'");
  const abandonDelete = db.prepare(
    "UPDATE OR IGNORE snapshots SET state = 'ready' WHERE id = ? AND state = 'deleting'",
  );
  const remove = db.prepare('DELETE FROM snapshots WHERE id = ?');
  const source = db.prepare('SELECT * FROM sandboxes WHERE id = ?');

  /** Removes the name from the snapshots that have it; returns their ids. */
  const replace = ({ teamId, name, tag }: SnapshotRecord): string[] => {
    const replaced = name === '' ? [] : byName.all(teamId, name, tag).map((row) => String(row['id']));
    for (const id of replaced) beginDelete.run(id);
    return replaced;
  };
  const complete = (snapshot: SnapshotRecord, made: { createdAt: number; sizeBytes: number }): string[] => {
    const replaced = replace(snapshot);
    ready.run(made.createdAt, made.sizeBytes, snapshot.id);
    const row = source.get(snapshot.sandboxId);
    if (row !== undefined) log.append(eventOfCheckpoint(sandboxFromRow(row), made.createdAt, snapshot.id));
    return replaced;
  };

  return {
    begin: async (snapshot, limit) => {
      try {
        return begin.run(...rowFromSnapshot({ ...snapshot, state: 'making', sizeBytes: 0 }), limit).changes === 1;
      } catch (thrown) {
        if (!isDuplicate(thrown)) throw thrown;
        throw new SoulBoxError('name_taken', `Snapshot "${snapshot.id}" already exists.`);
      }
    },
    complete: async (id, made) =>
      log.change(() => {
        const row = byId.get(id);
        return row?.['state'] === 'making' ? complete(snapshotFromRow(row), made) : undefined;
      }),
    adopt: async (snapshot) => {
      try {
        return insert.run(...rowFromSnapshot({ ...snapshot, state: 'ready' })).changes === 1;
      } catch (thrown) {
        if (isDuplicate(thrown) || isMissingParent(thrown)) return false;
        throw thrown;
      }
    },
    findById: async (teamId, id) => {
      const row = ownById.get(teamId, id);
      return row === undefined ? undefined : snapshotFromRow(row);
    },
    findByName: async (teamId, name, tag) => {
      const row = name === '' ? undefined : byName.get(teamId, name, tag);
      return row === undefined ? undefined : snapshotFromRow(row);
    },
    list: async (query) => {
      const { where, values } = filterOf(query);
      const statement = db.prepare(`SELECT * FROM snapshots WHERE ${where} ORDER BY created_at DESC, id DESC LIMIT ?`);
      const rows = statement.all(...values, query.limit + 1).map(snapshotFromRow);
      const snapshots = rows.slice(0, query.limit);
      const last = snapshots.at(-1);
      const next =
        rows.length > query.limit && last !== undefined ? { createdAt: last.createdAt, id: last.id } : undefined;
      return { snapshots, next };
    },
    listAll: async () => all.all().map(snapshotFromRow),
    beginDelete: async (id) => beginDelete.run(id).changes === 1,
    abandonDelete: async (id) => void abandonDelete.run(id),
    remove: async (id) => void remove.run(id),
  };
}
