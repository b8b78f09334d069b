import type { NewLifecycleEvent } from './lifecycle-event.ts';

/** A recorded event. It outlives its sandbox's row and its snapshot. */
export interface LifecycleEvent extends Omit<NewLifecycleEvent, 'sandbox'> {
  /** Increases with every event of the server and is never reused; a team sees gaps where other teams had events. */
  readonly sequence: number;
  /** A UUID. */
  readonly id: string;
  readonly teamId: string;
  readonly sandboxId: string;
  readonly templateId: string;
  /** The same for all events between a start (or resume) and the next pause or end. */
  readonly executionId: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface EventQuery {
  readonly teamId: string;
  /** Undefined: events of all the team's sandboxes. */
  readonly sandboxId: string | undefined;
  /** Empty: all. */
  readonly types: readonly string[];
  /** Only events with a higher number; 0 for all. */
  readonly after: number;
  /** By number. */
  readonly order: 'asc' | 'desc';
  readonly offset: number;
  readonly limit: number;
  /** Maximum number of characters of the events' metadata in total; at least one event is always returned. */
  readonly maxChars: number;
}

export interface EventPage {
  readonly events: LifecycleEvent[];
  /** There are more events in the requested order. */
  readonly hasMore: boolean;
}

/** Lifecycle events. They are always written together with the row that they are about. */
export interface EventRecords {
  list(query: EventQuery): Promise<EventPage>;
  /** Records that a sandbox was checkpointed for forks. False if there is no such row. */
  addCheckpoint(sandboxId: string, at: number): Promise<boolean>;
  /** Deletes at most `limit` events from before `before`, with their pending deliveries. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
  /** Deletes the oldest events of teams that have more than `kept`, `limit` at most. Returns their number. */
  purgeBeyond(kept: number, limit: number): Promise<number>;
}
