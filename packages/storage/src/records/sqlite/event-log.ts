import { randomUUID } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import type { NewLifecycleEvent } from '../lifecycle-event.ts';
import { inTransaction } from './transaction.ts';

/**
 * Maximum number of pending deliveries for one webhook. A receiver that is away for long misses later events; they stay
 * readable.
 */
const queueMax = 1000;

/** Writes changes and their events together. */
export interface EventLog {
  /** Runs `work` as one transaction; call `append` inside it. Listeners are called after the commit. */
  change<T>(work: () => T): T;
  /** Numbers the event and queues it for the team's webhooks that want it. */
  append(event: NewLifecycleEvent): void;
  /** Calls back after a commit that queued a delivery. Returns the function to unsubscribe. */
  onQueued(listener: () => void): () => void;
}

const wantedSql = `
  SELECT id FROM webhooks
  WHERE team_id = ? AND enabled = 1 AND EXISTS (SELECT 1 FROM json_each(events) WHERE value = ?)
    AND (SELECT count(*) FROM deliveries WHERE webhook_id = webhooks.id) < ?`;

export function createEventLog(db: DatabaseSync): EventLog {
  const listeners = new Set<() => void>();
  const insert = db.prepare(
    `INSERT INTO events
       (id, team_id, sandbox_id, template_id, execution_id, type, at, cause, metadata_id, execution, snapshot_id)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const newest = db.prepare(
    `SELECT m.id, m.body FROM events JOIN event_metadata AS m ON m.id = metadata_id
     WHERE sandbox_id = ? ORDER BY sequence DESC LIMIT 1`,
  );
  const keep = db.prepare('INSERT INTO event_metadata (body) VALUES (?)');
  /** The row with the sandbox's metadata. All its events share one, because it may be large and seldom changes. */
  const metadataId = (sandboxId: string, body: string): number | bigint => {
    const row = newest.get(sandboxId);
    return row?.['body'] === body ? Number(row['id']) : keep.run(body).lastInsertRowid;
  };
  const wanted = db.prepare(wantedSql);
  const queue = db.prepare(
    'INSERT INTO deliveries (id, webhook_id, sequence, failures, due_at) VALUES (?, ?, ?, 0, 0)',
  );
  /** Deliveries of the current change. */
  const queued = new Set<string>();

  return {
    change: (work) => {
      queued.clear();
      const result = inTransaction(db, work);
      if (queued.size > 0) for (const listener of listeners) listener();
      return result;
    },
    append: ({ sandbox, type, at, cause, execution, snapshotId }) => {
      const sequence = insert.run(
        ...[randomUUID(), sandbox.teamId, sandbox.id, sandbox.templateId],
        ...[`${sandbox.id}-${sandbox.executionStartedAt}`, type, at, cause],
        metadataId(sandbox.id, JSON.stringify(sandbox.metadata)),
        ...[execution === undefined ? null : JSON.stringify(execution), snapshotId ?? null],
      ).lastInsertRowid;
      for (const webhook of wanted.all(sandbox.teamId, type, queueMax)) {
        const id = randomUUID();
        queue.run(id, String(webhook['id']), sequence);
        queued.add(id);
      }
    },
    onQueued: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
