import type { NewLifecycleEvent } from './lifecycle-event.ts';

/** A recorded event. It outlives its sandbox's row and its snapshot. */
export interface LifecycleEvent extends Omit<NewLifecycleEvent, 'sandbox'> {
  /** Rises with every event of the server and is never used twice; a team sees gaps where others had events. */
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
  /** Undefined: of all the team's sandboxes. */
  readonly sandboxId: string | undefined;
  /** Empty: all. */
  readonly types: readonly string[];
  /** Only events with a higher number; 0 for all. */
  readonly after: number;
  /** By number. */
  readonly order: 'asc' | 'desc';
  readonly offset: number;
  readonly limit: number;
  /** What the events carry may be so many characters in all; one event is always given. */
  readonly maxChars: number;
}

export interface EventPage {
  readonly events: LifecycleEvent[];
  /** There are further ones, in the order that was asked for. */
  readonly hasMore: boolean;
}

/** Lifecycle events. They are written together with the row that they are about, never apart from it. */
export interface EventRecords {
  list(query: EventQuery): Promise<EventPage>;
  /** Writes that a sandbox was checkpointed for forks. False when there is no such row. */
  addCheckpoint(sandboxId: string, at: number): Promise<boolean>;
  /** Deletes at most `limit` events from before `before`, and what was still to be delivered of them. Gives their number. */
  purge(before: number, limit: number): Promise<number>;
  /** Deletes the oldest events of teams that have more than `kept`, `limit` at most. Gives their number. */
  purgeBeyond(kept: number, limit: number): Promise<number>;
}
