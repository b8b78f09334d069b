/** `waiting`: files are being uploaded. `building`: the runner is at it. The other two are final. */
export type BuildStatus = 'waiting' | 'building' | 'ready' | 'error';

export interface BuildReason {
  /** Safe for the caller. */
  readonly message: string;
  /** `base`, `finalize` or the number of the step, from 1 on; empty when no step is to blame. */
  readonly step: string;
}

/** One way to fill a template. A finished one is a snapshot of the runner. */
export interface BuildRecord {
  /** A UUID. */
  readonly id: string;
  readonly templateId: string;
  /** Those that it gets when it is finished. */
  readonly tags: readonly string[];
  readonly status: BuildStatus;
  /** Why it is `error`. */
  readonly reason: BuildReason | undefined;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMb: number;
  /** MiB; 0: as the base. */
  readonly minFreeDiskMb: number;
  /** MiB; 0 while it is not finished. */
  readonly diskSizeMb: number;
  /** Empty while it is not finished. */
  readonly envdVersion: string;
  /** Builds from this one take it over; empty for none. */
  readonly startCommand: string;
  readonly readyCommand: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly finishedAt: number | undefined;
}

export type NewBuild = Pick<
  BuildRecord,
  'id' | 'templateId' | 'tags' | 'cpuCount' | 'memoryMb' | 'minFreeDiskMb' | 'createdAt'
>;

/** What the runner made. */
export interface BuildMade {
  readonly cpuCount: number;
  readonly memoryMb: number;
  readonly diskSizeMb: number;
  readonly envdVersion: string;
  readonly finishedAt: number;
}

export const buildLogLevels = ['debug', 'info', 'warn', 'error'] as const;
export type BuildLogLevel = (typeof buildLogLevels)[number];

export interface BuildLog {
  readonly at: number;
  readonly level: BuildLogLevel;
  /** As in BuildReason. */
  readonly step: string;
  readonly message: string;
}

export interface BuildLogQuery {
  /** The least level; undefined for all. */
  readonly level: BuildLogLevel | undefined;
  readonly order: 'asc' | 'desc';
  /** Inclusive: no older ones when ascending, no newer ones when descending. */
  readonly cursor: number | undefined;
  /** So many of those that match are left out first. */
  readonly offset: number;
  readonly limit: number;
}

export interface BuildPosition {
  readonly createdAt: number;
  readonly id: string;
}

/** `replaced`: builds of the same template and tag that were under way; they are `error` now. */
export type BuildStart =
  | { readonly outcome: 'started'; readonly replaced: readonly string[] }
  | { readonly outcome: 'not_waiting' }
  | { readonly outcome: 'too_many' };

export interface BuildRecords {
  /**
   * Writes a `waiting` build. Waiting ones of the template that share a tag with it are given up for `reason`. False, and
   * nothing done, when the team would have more than `limit` waiting ones.
   */
  request(build: NewBuild, limit: number, reason: BuildReason): Promise<boolean>;
  find(id: string): Promise<BuildRecord | undefined>;
  /** Newest first. */
  list(
    templateId: string,
    after: BuildPosition | undefined,
    limit: number,
  ): Promise<{ builds: BuildRecord[]; next: BuildPosition | undefined }>;
  count(templateId: string): Promise<number>;
  /**
   * `waiting` becomes `building`, unless the team has `limit` others under way. Those of the template that share a tag fail
   * for `reason` and do not count. One step: two starts at once cannot both take the last place.
   */
  start(
    id: string,
    commands: Pick<BuildRecord, 'startCommand' | 'readyCommand'>,
    limit: number,
    reason: BuildReason,
    now: number,
  ): Promise<BuildStart>;
  /** `building` becomes `ready` and takes its tags. Gives builds that no tag points at any more; undefined if not building. */
  complete(id: string, made: BuildMade): Promise<string[] | undefined>;
  /** `waiting` or `building` becomes `error`. False when it was neither. */
  fail(id: string, reason: BuildReason, now: number): Promise<boolean>;
  /** The same for all that are under way. Gives their number. */
  failUnderway(reason: BuildReason, now: number): Promise<number>;
  /** A finished build whose snapshot is gone: `error`, and its tags go. */
  lose(id: string, reason: BuildReason, now: number): Promise<void>;
  /** Builds of all teams that a tag points at. */
  listTagged(): Promise<string[]>;
  isTagged(id: string): Promise<boolean>;
  /** Those that have waited since before `before` become `error`. */
  giveUp(before: number, reason: BuildReason, now: number): Promise<void>;
  /** Deletes at most `limit` builds without a tag that ended before `before`, with their logs. Gives their number. */
  purge(before: number, limit: number): Promise<number>;

  /** Behind those that are there. Nothing happens when the build is gone. */
  appendLogs(id: string, logs: readonly BuildLog[]): Promise<void>;
  listLogs(id: string, query: BuildLogQuery): Promise<BuildLog[]>;
}
