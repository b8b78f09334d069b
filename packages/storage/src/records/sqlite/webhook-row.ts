import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { LifecycleEventType } from '../lifecycle-event.ts';
import type { WebhookRecord } from '../webhooks.ts';

/** Converts a row of `webhooks` to the record. The list of events was written by `rowFromWebhook` and is trusted. */
export function webhookFromRow(row: Record<string, SQLOutputValue>): WebhookRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    url: String(row['url']),
    enabled: row['enabled'] === 1,
    events: JSON.parse(String(row['events'])) as LifecycleEventType[],
    sealedSecret: String(row['sealed_secret']),
    createdAt: Number(row['created_at']),
  };
}

/** In the order of the columns. `signature_secret` had the secret itself in older versions. */
export function rowFromWebhook(webhook: WebhookRecord): SQLInputValue[] {
  return [
    ...[webhook.id, webhook.teamId, webhook.name, webhook.url, webhook.enabled ? 1 : 0],
    ...[JSON.stringify(webhook.events), '', webhook.createdAt, webhook.sealedSecret],
  ];
}
