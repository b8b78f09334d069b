import type { DatabaseSync } from 'node:sqlite';
import type { AuditNote } from '../audit.ts';
import type { WebhookChanges, WebhookRecord, WebhookRecords } from '../webhooks.ts';
import { changeWithNote } from './audit-writer.ts';
import type { AuditWriter } from './audit-writer.ts';
import { inTransaction } from './transaction.ts';
import { rowFromWebhook, webhookFromRow } from './webhook-row.ts';

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteWebhooks(db: DatabaseSync, audit: AuditWriter): WebhookRecords {
  const insert = db.prepare(
    `INSERT INTO webhooks SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
     WHERE (SELECT count(*) FROM webhooks WHERE team_id = ?2) < ?10`,
  );
  const replace = db.prepare(
    `UPDATE webhooks SET name = ?3, url = ?4, enabled = ?5, events = ?6, signature_secret = ?7, created_at = ?8,
       sealed_secret = ?9
     WHERE id = ?1 AND team_id = ?2`,
  );
  const byId = db.prepare('SELECT * FROM webhooks WHERE team_id = ? AND id = ?');
  const ofTeam = db.prepare('SELECT * FROM webhooks WHERE team_id = ? ORDER BY created_at, id');
  const remove = db.prepare('DELETE FROM webhooks WHERE team_id = ? AND id = ?');
  const dropQueue = db.prepare('DELETE FROM deliveries WHERE webhook_id = ?');

  const update = (
    teamId: string,
    id: string,
    changes: WebhookChanges,
    note: AuditNote | undefined,
  ): WebhookRecord | undefined => {
    const row = byId.get(teamId, id);
    if (row === undefined) return undefined;
    const after = { ...webhookFromRow(row), ...changes };
    replace.run(...rowFromWebhook(after));
    if (!after.enabled) dropQueue.run(id);
    if (note !== undefined) audit.write(note);
    return after;
  };

  return {
    create: async (webhook, limit, note) =>
      changeWithNote(db, audit, note, () => insert.run(...rowFromWebhook(webhook), limit)),
    find: async (teamId, id) => {
      const row = byId.get(teamId, id);
      return row === undefined ? undefined : webhookFromRow(row);
    },
    list: async (teamId) => ofTeam.all(teamId).map(webhookFromRow),
    update: async (teamId, id, changes, note) => inTransaction(db, () => update(teamId, id, changes, note)),
    remove: async (teamId, id, note) => changeWithNote(db, audit, note, () => remove.run(teamId, id)),
  };
}
