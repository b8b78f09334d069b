/** `waiting`: files are being uploaded. `building`: the runner works on it. The other two are final. */
export type BuildStatus = 'waiting' | 'building' | 'ready' | 'error';

export interface BuildReason {
  /** Safe to show to the caller. */
  readonly message: string;
  /** `base`, `finalize` or the number of the step, from 1 on; empty if no step is the cause. */
  readonly step: string;
}

/** One attempt to build a template. A finished one is a snapshot of the runner. */
export interface BuildRecord {
  /** A UUID. */
  readonly id: string;
  readonly templateId: string;
  /** The tags that it gets when it is finished. */
  readonly tags: readonly string[];
  readonly status: BuildStatus;
  /** The reason for the status `error`. */
  readonly reason: BuildReason | undefined;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMb: number;
  /** MiB; 0: like the base. */
  readonly minFreeDiskMb: number;
  /** MiB; 0 until it is finished. */
  readonly diskSizeMb: number;
  /** Empty until it is finished. */
  readonly envdVersion: string;
  /** Builds on top of this one inherit it; empty for none. */
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

/** The result of the runner. */
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
  /** The lowest level; undefined for all. */
  readonly level: BuildLogLevel | undefined;
  readonly order: 'asc' | 'desc';
  /** Inclusive: no older ones in ascending order, no newer ones in descending order. */
  readonly cursor: number | undefined;
  /** The number of matching entries to skip. */
  readonly offset: number;
  readonly limit: number;
}

export interface BuildPosition {
  readonly createdAt: number;
  readonly id: string;
}

/** `replaced`: builds of the same template and tag that were in progress; they now have the status `error`. */
export type BuildStart =
  | { readonly outcome: 'started'; readonly replaced: readonly string[] }
  | { readonly outcome: 'not_waiting' }
  | { readonly outcome: 'too_many' };

export interface BuildRecords {
  /**
   * Writes a `waiting` build. Waiting builds of the template that share a tag with it fail with `reason`. Returns false
   * and does nothing if the team would have more than `limit` waiting builds.
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
   * Changes `waiting` to `building`, unless the team has `limit` other builds in progress. Those of the template that
   * share a tag fail with `reason` and do not count. One step: two starts at once cannot both take the last place.
   */
  start(
    id: string,
    commands: Pick<BuildRecord, 'startCommand' | 'readyCommand'>,
    limit: number,
    reason: BuildReason,
    now: number,
  ): Promise<BuildStart>;
  /**
   * Changes `building` to `ready` and assigns its tags. Returns builds that no tag points at any more; undefined if it
   * is not building.
   */
  complete(id: string, made: BuildMade): Promise<string[] | undefined>;
  /** Changes `waiting` or `building` to `error`. False if it was neither. */
  fail(id: string, reason: BuildReason, now: number): Promise<boolean>;
  /** Does the same for all builds in progress. Returns their number. */
  failUnderway(reason: BuildReason, now: number): Promise<number>;
  /** For a finished build whose snapshot is gone: sets `error` and removes its tags. */
  lose(id: string, reason: BuildReason, now: number): Promise<void>;
  /** Builds of all teams that a tag points at. */
  listTagged(): Promise<string[]>;
  isTagged(id: string): Promise<boolean>;
  /** Changes builds that have waited since before `before` to `error`. */
  giveUp(before: number, reason: BuildReason, now: number): Promise<void>;
  /** Deletes at most `limit` builds without a tag that ended before `before`, with their logs. Returns their number. */
  purge(before: number, limit: number): Promise<number>;

  /** Appends logs after the existing ones. Does nothing if the build is gone. */
  appendLogs(id: string, logs: readonly BuildLog[]): Promise<void>;
  listLogs(id: string, query: BuildLogQuery): Promise<BuildLog[]>;
}
