import type { Secret } from '@soulbox/base';
import type { LifecycleEvent } from './events.ts';
import type { LifecycleEventType } from './lifecycle-event.ts';

/** Where a team wants its events told. */
export interface WebhookRecord {
  /** A UUID. */
  readonly id: string;
  readonly teamId: string;
  readonly name: string;
  readonly url: string;
  readonly enabled: boolean;
  readonly events: readonly LifecycleEventType[];
  /** Signs the deliveries. Kept as it is: a hash could not sign. */
  readonly signatureSecret: Secret;
  readonly createdAt: number;
}

export type WebhookChanges = Partial<Pick<WebhookRecord, 'name' | 'url' | 'enabled' | 'events' | 'signatureSecret'>>;

export interface WebhookRecords {
  /** False when the team has `limit` webhooks. Count and write are one step. */
  create(webhook: WebhookRecord, limit: number): Promise<boolean>;
  find(teamId: string, id: string): Promise<WebhookRecord | undefined>;
  /** Oldest first. */
  list(teamId: string): Promise<WebhookRecord[]>;
  /** As it is afterwards; undefined when the team has no such webhook. Disabling drops what was still to be delivered. */
  update(teamId: string, id: string, changes: WebhookChanges): Promise<WebhookRecord | undefined>;
  /** Drops what was still to be delivered too. False when the team has no such webhook. */
  remove(teamId: string, id: string): Promise<boolean>;
}

/** One event on its way to one webhook. The row goes when it was taken or given up. */
export interface Delivery {
  /** A UUID, the same in every attempt. */
  readonly id: string;
  readonly webhook: WebhookRecord;
  readonly event: LifecycleEvent;
  /** Attempts that failed. */
  readonly failures: number;
}

export interface DueQuery {
  readonly now: number;
  /** Deliveries and webhooks that are left out: what is under way, and who has enough of it. */
  readonly exceptIds: readonly string[];
  readonly exceptWebhookIds: readonly string[];
  readonly limit: number;
}

/** Deliveries are written in the step that writes their event; a webhook whose queue is full misses the event. */
export interface DeliveryRecords {
  /** Earliest events first. */
  listDue(query: DueQuery): Promise<Delivery[]>;
  /** When the next attempt after `now` is due; undefined when none waits. */
  nextDueAt(now: number): Promise<number | undefined>;
  /** It was taken or given up. */
  finish(id: string): Promise<void>;
  /** It failed once more and is tried again at `dueAt`. */
  postpone(id: string, dueAt: number): Promise<void>;
  /** Calls back whenever this process has written a delivery. Gives the unsubscribe. */
  onAdded(listener: () => void): () => void;
}
