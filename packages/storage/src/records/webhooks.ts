import type { AuditNote } from './audit.ts';
import type { LifecycleEvent } from './events.ts';
import type { LifecycleEventType } from './lifecycle-event.ts';

/** Where a team's events are sent. */
export interface WebhookRecord {
  /** A UUID. */
  readonly id: string;
  readonly teamId: string;
  readonly name: string;
  readonly url: string;
  readonly enabled: boolean;
  readonly events: readonly LifecycleEventType[];
  /** Signs the deliveries. Encrypted by the writer. */
  readonly sealedSecret: string;
  readonly createdAt: number;
}

export type WebhookChanges = Partial<Pick<WebhookRecord, 'name' | 'url' | 'enabled' | 'events' | 'sealedSecret'>>;

/** With a note, a change and its record in the audit log are committed together; without the change, neither is. */
export interface WebhookRecords {
  /** False if the team has `limit` webhooks. Count and write are one step. */
  create(webhook: WebhookRecord, limit: number, note?: AuditNote): Promise<boolean>;
  find(teamId: string, id: string): Promise<WebhookRecord | undefined>;
  /** Oldest first. */
  list(teamId: string): Promise<WebhookRecord[]>;
  /**
   * Returns the webhook after the change; undefined if the team has no such webhook. Disabling drops its pending
   * deliveries.
   */
  update(teamId: string, id: string, changes: WebhookChanges, note?: AuditNote): Promise<WebhookRecord | undefined>;
  /** Also drops its pending deliveries. False if the team has no such webhook. */
  remove(teamId: string, id: string, note?: AuditNote): Promise<boolean>;
}

/** One event for one webhook. The row is deleted when it was accepted or given up. */
export interface Delivery {
  /** A UUID, the same in every attempt. */
  readonly id: string;
  readonly webhook: WebhookRecord;
  readonly event: LifecycleEvent;
  /** Number of failed attempts. */
  readonly failures: number;
}

export interface DueQuery {
  readonly now: number;
  /** Deliveries and webhooks to exclude: deliveries in progress, and webhooks that have enough of them. */
  readonly exceptIds: readonly string[];
  readonly exceptWebhookIds: readonly string[];
  readonly limit: number;
}

/** Deliveries are written in the same step as their event; a webhook whose queue is full misses the event. */
export interface DeliveryRecords {
  /** Earliest events first. */
  listDue(query: DueQuery): Promise<Delivery[]>;
  /** When the next attempt after `now` is due; undefined if none is pending. */
  nextDueAt(now: number): Promise<number | undefined>;
  /** It was accepted or given up. */
  finish(id: string): Promise<void>;
  /** It failed once more and is tried again at `dueAt`. */
  postpone(id: string, dueAt: number): Promise<void>;
  /** Calls back whenever this process has written a delivery. Returns the function to unsubscribe. */
  onAdded(listener: () => void): () => void;
}
