import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { Cause } from '@soulbox/contract';
import type { EventQuery, EventRecords, LifecycleEvent } from '../events.ts';
import { eventOfCheckpoint } from '../lifecycle-event.ts';
import type { Execution, LifecycleEventType } from '../lifecycle-event.ts';
import type { EventLog } from './event-log.ts';
import { sandboxFromRow } from './sandbox-row.ts';
import { takeRows } from './take-rows.ts';

/** Rows for `eventFromRow`, each with the metadata of its sandbox. */
export const eventRowsSql =
  'SELECT events.*, body AS metadata FROM events JOIN event_metadata AS m ON m.id = metadata_id';

/** Converts a row of `eventRowsSql` to the record. The JSON columns were written by the event log and are trusted. */
export function eventFromRow(row: Record<string, SQLOutputValue>): LifecycleEvent {
  return {
    sequence: Number(row['sequence']),
    id: String(row['id']),
    teamId: String(row['team_id']),
    sandboxId: String(row['sandbox_id']),
    templateId: String(row['template_id']),
    executionId: String(row['execution_id']),
    type: row['type'] as LifecycleEventType,
    at: Number(row['at']),
    cause: row['cause'] as Cause,
    metadata: JSON.parse(String(row['metadata'])) as Record<string, string>,
    execution: row['execution'] === null ? undefined : (JSON.parse(String(row['execution'])) as Execution),
    snapshotId: row['snapshot_id'] === null ? undefined : String(row['snapshot_id']),
  };
}

function filterOf(query: EventQuery): { where: string; values: SQLInputValue[] } {
  const where = ['team_id = ?', 'sequence > ?'];
  const values: SQLInputValue[] = [query.teamId, query.after];
  if (query.sandboxId !== undefined) {
    where.push('sandbox_id = ?');
    values.push(query.sandboxId);
  }
  if (query.types.length > 0) {
    where.push('type IN (SELECT value FROM json_each(?))');
    values.push(JSON.stringify(query.types));
  }
  return { where: where.join(' AND '), values };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteEvents(db: DatabaseSync, log: EventLog): EventRecords {
  const sandbox = db.prepare('SELECT * FROM sandboxes WHERE id = ?');
  const purge = db.prepare(
    'DELETE FROM events WHERE sequence IN (SELECT sequence FROM events WHERE at < ? ORDER BY at LIMIT ?)',
  );
  const overfull = db.prepare('SELECT team_id, events - ?1 AS extra FROM team_counts WHERE events > ?1 LIMIT 1');
  const purgeOldest = db.prepare(
    'DELETE FROM events WHERE sequence IN (SELECT sequence FROM events WHERE team_id = ? ORDER BY sequence LIMIT ?)',
  );
  return {
    list: async (query) => {
      const { where, values } = filterOf(query);
      const order = query.order === 'asc' ? 'ASC' : 'DESC';
      const statement = db.prepare(`${eventRowsSql} WHERE ${where} ORDER BY sequence ${order} LIMIT ? OFFSET ?`);
      const rows = statement.iterate(...values, query.limit + 1, query.offset);
      const { rows: kept, isCut } = takeRows(rows, query);
      return { events: kept.map(eventFromRow), hasMore: isCut };
    },
    addCheckpoint: async (sandboxId, at) =>
      log.change(() => {
        const row = sandbox.get(sandboxId);
        if (row !== undefined) log.append(eventOfCheckpoint(sandboxFromRow(row), at, undefined));
        return row !== undefined;
      }),
    purgeBeyond: async (kept, limit) => {
      const team = overfull.get(kept);
      if (team === undefined) return 0;
      return Number(purgeOldest.run(String(team['team_id']), Math.min(Number(team['extra']), limit)).changes);
    },
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
