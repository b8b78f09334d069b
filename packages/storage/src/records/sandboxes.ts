import type { Cause } from '@soulbox/contract';
import type { Day } from './quotas.ts';
import type { ReportedSandbox, SandboxRecord } from './sandbox-record.ts';

/**
 * The intent to run sandboxes that do not run yet: a create, a fork or a resume, written before the runner is asked. It
 * counts as that many sandboxes until it is completed or abandoned.
 */
export interface Creation {
  /** Id of the intent, not of the sandbox: the runner chooses that one. */
  readonly id: string;
  readonly teamId: string;
  readonly templateId: string;
  readonly startedAt: number;
  readonly sandboxCount: number;
  /** MiB of all of them together. */
  readonly memoryMb: number;
  /** What it counts for in the figures of an API key. Absent: nothing, as for a resume. */
  readonly creates?: { readonly keyId: string; readonly count: number; readonly day: Day };
}

/** Limits of the sandboxes of a team that run at the same time. Infinity: no limit. */
export interface CreationLimits {
  readonly sandboxes: number;
  readonly memoryMb: number;
  /** Sandboxes that the key may create on the day and in total. Absent: no limit. */
  readonly keyDay?: number;
  readonly keyTotal?: number;
}

/** The position where a page ended: the next page begins after it. */
export interface SandboxPosition {
  readonly startedAt: number;
  readonly id: string;
}

export interface SandboxListQuery {
  readonly teamId: string;
  /**
   * Running sandboxes whose `endAt` is not above this count as ended, even before the runner has reported it, unless
   * they pause at their deadline, because a pause takes time.
   */
  readonly aliveAfter: number;
  readonly states: readonly ReportedSandbox['state'][];
  /** Every pair must match exactly. */
  readonly metadata: Readonly<Record<string, string>>;
  /** A template's id, or the name that was used in the request; undefined for all. */
  readonly template: string | undefined;
  /** Only sandboxes of templates with these ids; undefined for all. */
  readonly templateIds?: ReadonlySet<string> | undefined;
  /** Those whose metadata have this member are left out. */
  readonly withoutMetadata?: string | undefined;
  /** Inclusive; undefined for all. */
  readonly startedAfter: number | undefined;
  /** By start time, then by id. */
  readonly order: 'asc' | 'desc';
  readonly after: SandboxPosition | undefined;
  readonly limit: number;
  /** Maximum number of characters in their rows in total; at least one is always returned. */
  readonly maxChars: number;
}

export interface SandboxPage {
  readonly sandboxes: ReportedSandbox[];
  /** Undefined on the last page. */
  readonly next: SandboxPosition | undefined;
}

export interface SandboxRecords {
  /**
   * Writes the intent, and returns undefined; or writes nothing and returns the name of the limit that the team would
   * exceed (with running sandboxes and intents). Count and write are one step: two creates at once cannot both take the
   * last place. An intent with the same id is the same intent: many callers who resume one sandbox take one place.
   */
  beginCreation(
    creation: Creation,
    limits: CreationLimits,
    aliveAfter: number,
  ): Promise<keyof CreationLimits | undefined>;
  /**
   * Removes the intent and does the same as `put` for each sandbox, in one step. Throws for a team that does not exist.
   */
  completeCreation(creationId: string, sandboxes: readonly ReportedSandbox[], now: number): Promise<void>;
  /** Removes the intent of a failed step. */
  abandonCreation(creationId: string): Promise<void>;
  /** Removes the intents left behind by a control plane that was killed. Returns their number. */
  clearCreations(): Promise<number>;
  /**
   * Writes the runner's report about a new or known sandbox, and in the same step the event that the change means. An
   * ended sandbox stays ended: ids are never reused. A report that is older than the row (by `stateSince`) is dropped,
   * so that a response and an event that cross each other do no harm. False if its team does not exist; then nothing is
   * written.
   */
  put(sandbox: ReportedSandbox, now: number): Promise<boolean>;
  /**
   * Ends a live sandbox and writes the event. An ended sandbox keeps its first cause, except `lost`, which a known
   * cause replaces: two kills at once must not make a sandbox look lost. False if nothing changed.
   */
  end(id: string, cause: Cause, endedAt: number): Promise<boolean>;
  /**
   * Restores a sandbox whose row had ended as `lost`, and writes an event for it. False if its row has another state or
   * belongs to another team.
   */
  takeBack(sandbox: ReportedSandbox, now: number): Promise<boolean>;
  /** The sandbox with this id in any state, if it belongs to the team. */
  findOwn(teamId: string, id: string): Promise<SandboxRecord | undefined>;
  /** The team's sandboxes that were made by a request, in any state (`creationId`). */
  findByCreation(teamId: string, creationId: string): Promise<SandboxRecord[]>;
  /** In any state, of any team. */
  find(id: string): Promise<SandboxRecord | undefined>;
  /** Only running and paused ones. */
  list(query: SandboxListQuery): Promise<SandboxPage>;
  /** The number of sandboxes that `list` would return without paging. */
  count(query: Omit<SandboxListQuery, 'order' | 'after' | 'limit' | 'maxChars'>): Promise<number>;
  /**
   * Ids of the team's running and paused sandboxes in which the volume or bucket is mounted, oldest first, `limit` at most.
   * `aliveAfter`: as for `list`.
   */
  listMounting(teamId: string, volumeId: string, aliveAfter: number, limit: number): Promise<string[]>;
  /**
   * Running and paused sandboxes of all teams, whatever their `endAt`: for the comparison with the runner's own list.
   */
  listLive(): Promise<SandboxRecord[]>;
  /**
   * The lives of a team's sandboxes that overlap the span from `start` to `end`; at most `limit`, oldest first. The
   * life of a paused sandbox ends at its pause.
   */
  listLives(
    teamId: string,
    start: number,
    end: number,
    limit: number,
  ): Promise<{ startedAt: number; endedAt: number | undefined }[]>;
  /** Deletes at most `limit` sandboxes that ended before `before`. Returns their number. */
  purgeEnded(before: number, limit: number): Promise<number>;
}
