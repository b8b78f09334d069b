import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Delivery, DeliveryRecords } from '../webhooks.ts';
import type { EventLog } from './event-log.ts';
import { eventFromRow, eventRowsSql } from './events.ts';
import { webhookFromRow } from './webhook-row.ts';

const dueSql = `
  SELECT * FROM deliveries
  WHERE due_at <= ? AND id NOT IN (SELECT value FROM json_each(?))
    AND webhook_id NOT IN (SELECT value FROM json_each(?))
  ORDER BY sequence, id LIMIT ?`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteDeliveries(db: DatabaseSync, log: EventLog): DeliveryRecords {
  const due = db.prepare(dueSql);
  const next = db.prepare('SELECT min(due_at) AS due_at FROM deliveries WHERE due_at > ?');
  const finish = db.prepare('DELETE FROM deliveries WHERE id = ?');
  const postpone = db.prepare('UPDATE deliveries SET failures = failures + 1, due_at = ? WHERE id = ?');
  const webhook = db.prepare('SELECT * FROM webhooks WHERE id = ?');
  const event = db.prepare(`${eventRowsSql} WHERE sequence = ?`);

  // Foreign keys guarantee that both parents exist.
  const deliveryFromRow = (row: Record<string, SQLOutputValue>): Delivery => ({
    id: String(row['id']),
    webhook: webhookFromRow(webhook.get(row['webhook_id'] ?? null) ?? {}),
    event: eventFromRow(event.get(row['sequence'] ?? null) ?? {}),
    failures: Number(row['failures']),
  });

  return {
    listDue: async ({ now, exceptIds, exceptWebhookIds, limit }) =>
      due
        .all(now, JSON.stringify(exceptIds), JSON.stringify(exceptWebhookIds), limit)
        .map((row) => deliveryFromRow(row)),
    nextDueAt: async (now) => {
      const at = next.get(now)?.['due_at'] ?? null;
      return at === null ? undefined : Number(at);
    },
    finish: async (id) => void finish.run(id),
    postpone: async (id, dueAt) => void postpone.run(dueAt, id),
    onAdded: (listener) => log.onQueued(listener),
  };
}
