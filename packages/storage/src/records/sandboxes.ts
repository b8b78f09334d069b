import type { Cause } from '@soulbox/contract';
import type { LiveSandbox, SandboxRecord } from './sandbox-record.ts';

/**
 * The intent to let sandboxes run that do not yet: a create, a fork or a resume, written before the runner is asked. It
 * counts as so many sandboxes until it is completed or abandoned.
 */
export interface Creation {
  /** Of the intent, not of the sandbox: the runner chooses that one. */
  readonly id: string;
  readonly teamId: string;
  readonly templateId: string;
  readonly startedAt: number;
  /** How many sandboxes it is about. */
  readonly places: number;
}

/** Where a page ended: the next one begins behind it. */
export interface SandboxPosition {
  readonly startedAt: number;
  readonly id: string;
}

export interface SandboxListQuery {
  readonly teamId: string;
  /**
   * Running sandboxes whose `endAt` is not above this count as ended, even before the runner said so, unless they pause
   * then: that takes its time.
   */
  readonly aliveAfter: number;
  readonly states: readonly LiveSandbox['state'][];
  /** Every pair must match exactly. */
  readonly metadata: Readonly<Record<string, string>>;
  /** A template's id or the name it was asked for by; undefined for all. */
  readonly template: string | undefined;
  /** Inclusive; undefined for all. */
  readonly startedAfter: number | undefined;
  /** By start time, then by id. */
  readonly order: 'asc' | 'desc';
  readonly after: SandboxPosition | undefined;
  readonly limit: number;
}

export interface SandboxPage {
  readonly sandboxes: LiveSandbox[];
  /** Undefined on the last page. */
  readonly next: SandboxPosition | undefined;
}

export interface SandboxRecords {
  /**
   * Writes the intent unless the team would then have more than `limit` sandboxes (running ones and intents); then gives
   * false. Count and write are one step: two creates at once cannot both take the last place. An intent of the same id is
   * the same intent: many who resume one sandbox take one place.
   */
  beginCreation(creation: Creation, limit: number, aliveAfter: number): Promise<boolean>;
  /** Removes the intent and does for each sandbox what `put` does, in one step. Throws for a team that does not exist. */
  completeCreation(creationId: string, sandboxes: readonly LiveSandbox[], now: number): Promise<void>;
  /** Removes the intent of a step that failed. */
  abandonCreation(creationId: string): Promise<void>;
  /** Removes the intents left behind by a control plane that was killed. Gives their number. */
  clearCreations(): Promise<number>;
  /**
   * Writes what the runner says of a sandbox, new or known, and in the same step the event that the change means.
   * An ended one stays ended: ids are never used twice. A report that is older than the row (by `stateSince`) is dropped,
   * so that an answer and an event which cross each other do no harm. False when its team does not exist; then nothing is
   * written.
   */
  put(sandbox: LiveSandbox, now: number): Promise<boolean>;
  /**
   * Ends a live sandbox and writes the event. One that ended keeps its first cause, except `lost`, which a known cause
   * replaces: two kills at once must not make one look lost. False when nothing changed.
   */
  end(id: string, cause: Cause, endedAt: number): Promise<boolean>;
  /**
   * Brings back a sandbox whose row had ended as `lost`, and writes an event that says so. False when its row says anything else, or
   * is another team's.
   */
  takeBack(sandbox: LiveSandbox, now: number): Promise<boolean>;
  /** The sandbox of this id in any state, if it is the team's. */
  findOwn(teamId: string, id: string): Promise<SandboxRecord | undefined>;
  /** In any state, of any team. */
  find(id: string): Promise<SandboxRecord | undefined>;
  /** Running and paused ones only. */
  list(query: SandboxListQuery): Promise<SandboxPage>;
  /** How many `list` would give without its page. */
  count(query: Omit<SandboxListQuery, 'order' | 'after' | 'limit'>): Promise<number>;
  /** Running and paused ones of all teams, whatever their `endAt`: what the runner's own list is compared with. */
  listLive(): Promise<SandboxRecord[]>;
  /**
   * The lives of a team's sandboxes that touch the span from `start` to `end`; at most `limit`, oldest first. A paused
   * sandbox has lived until its pause.
   */
  listLives(
    teamId: string,
    start: number,
    end: number,
    limit: number,
  ): Promise<{ startedAt: number; endedAt: number | undefined }[]>;
  /** Deletes at most `limit` sandboxes that ended before `before`. Gives their number. */
  purgeEnded(before: number, limit: number): Promise<number>;
}
