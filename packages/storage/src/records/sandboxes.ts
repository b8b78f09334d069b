import type { SandboxEndCause, SandboxFacts, SandboxRecord } from './sandbox-record.ts';

/** The intent to create, written before the runner is asked. It counts as a sandbox until it is completed or abandoned. */
export interface Creation {
  /** Of the intent, not of the sandbox: the runner chooses that one. */
  readonly id: string;
  readonly teamId: string;
  readonly templateId: string;
  readonly startedAt: number;
}

/** Where a page ended: the next one begins behind it. */
export interface SandboxPosition {
  readonly startedAt: number;
  readonly id: string;
}

export interface SandboxListQuery {
  readonly teamId: string;
  /** Sandboxes whose `endAt` is not above this count as ended, even before the runner said so. */
  readonly aliveAfter: number;
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
  readonly sandboxes: SandboxRecord[];
  /** Undefined on the last page. */
  readonly next: SandboxPosition | undefined;
}

export interface SandboxRecords {
  /**
   * Writes the intent unless the team has `limit` sandboxes (running ones and intents); then gives false.
   * Count and write are one step: two creates at once cannot both take the last place.
   */
  beginCreation(creation: Creation, limit: number, aliveAfter: number): Promise<boolean>;
  /** Turns the intent into a running sandbox, in one step. An ended sandbox of the same id stays ended. */
  completeCreation(creationId: string, sandbox: SandboxFacts): Promise<void>;
  /** Removes the intent of a create that failed. */
  abandonCreation(creationId: string): Promise<void>;
  /** Removes the intents left behind by a control plane that was killed. Gives their number. */
  clearCreations(): Promise<number>;
  /**
   * Writes what the runner says of a sandbox, new or known. An ended one stays ended: ids are never used twice.
   * False when its team does not exist; then nothing is written.
   */
  put(sandbox: SandboxFacts): Promise<boolean>;
  /**
   * Ends a running sandbox. One that ended keeps its first cause, except `lost`, which a known cause replaces: two kills at
   * once must not make one look lost. False when nothing changed.
   */
  end(id: string, cause: SandboxEndCause, endedAt: number): Promise<boolean>;
  /** The running sandbox of this id, if it is the team's. */
  findRunning(teamId: string, id: string, aliveAfter: number): Promise<SandboxRecord | undefined>;
  /** Running or ended. */
  find(id: string): Promise<SandboxRecord | undefined>;
  /** Running sandboxes only. */
  list(query: SandboxListQuery): Promise<SandboxPage>;
  /** How many `list` would give without its page. */
  count(query: Omit<SandboxListQuery, 'order' | 'after' | 'limit'>): Promise<number>;
  /** Of all teams, whatever their `endAt`: what the runner's own list is compared with. */
  listRunning(): Promise<SandboxRecord[]>;
  /** The lives of a team's sandboxes that touch the span from `start` to `end`; at most `limit`, oldest first. */
  listLives(
    teamId: string,
    start: number,
    end: number,
    limit: number,
  ): Promise<{ startedAt: number; endedAt: number | undefined }[]>;
  /** Deletes at most `limit` sandboxes that ended before `before`. Gives their number. */
  purgeEnded(before: number, limit: number): Promise<number>;
}
