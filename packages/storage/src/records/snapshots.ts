/** `making`: the runner was asked. `deleting`: it is hidden, and the runner is asked until it has deleted it too. */
export type SnapshotState = 'making' | 'ready' | 'deleting';

/** A saved sandbox that its team can use as a template. */
export interface SnapshotRecord {
  /** The runner's id, and E2B's template id of an unnamed snapshot. Characters `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Its source sandbox, which may not exist any more. */
  readonly sandboxId: string;
  /** The template of the source sandbox. */
  readonly templateId: string;
  /** Lower case, unique within the team; empty for an unnamed one. */
  readonly name: string;
  readonly tag: string;
  readonly state: SnapshotState;
  readonly createdAt: number;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMb: number;
  /** MiB. */
  readonly diskSizeMb: number;
  readonly isolation: string;
  /** On the host's disk; 0 while it is being made. */
  readonly sizeBytes: number;
}

export interface SnapshotPosition {
  readonly createdAt: number;
  readonly id: string;
}

export interface SnapshotListQuery {
  readonly teamId: string;
  readonly sandboxId: string | undefined;
  readonly name: string | undefined;
  /** Only together with a name. */
  readonly tag: string | undefined;
  readonly after: SnapshotPosition | undefined;
  readonly limit: number;
}

export interface SnapshotPage {
  /** Ready ones, newest first. */
  readonly snapshots: SnapshotRecord[];
  /** Undefined on the last page. */
  readonly next: SnapshotPosition | undefined;
}

export interface SnapshotRecords {
  /**
   * Writes the intent (state `making`); returns false if the team has `limit` snapshots, intents included. Count and
   * write are one step. Throws `name_taken` for an existing id.
   */
  begin(snapshot: Omit<SnapshotRecord, 'state' | 'sizeBytes'>, limit: number): Promise<boolean>;
  /**
   * Turns the intent into a ready snapshot and writes the event, in one step. Ready snapshots with the same name and
   * tag become `deleting`, and their ids are returned. Undefined if there is no such intent.
   */
  complete(id: string, made: { createdAt: number; sizeBytes: number }): Promise<string[] | undefined>;
  /**
   * Writes a snapshot that the runner has but no row knows, as a ready one. False if its id is known or its team is
   * not.
   */
  adopt(snapshot: Omit<SnapshotRecord, 'state'>): Promise<boolean>;
  /** The team's ready snapshot of this id. */
  findById(teamId: string, id: string): Promise<SnapshotRecord | undefined>;
  /** The team's ready snapshot of this name and tag. */
  findByName(teamId: string, name: string, tag: string): Promise<SnapshotRecord | undefined>;
  list(query: SnapshotListQuery): Promise<SnapshotPage>;
  /** Snapshots of all teams and states: for the comparison with the runner's own list. */
  listAll(): Promise<SnapshotRecord[]>;
  /**
   * Changes `making` or `ready` to `deleting`. False if it was neither: another caller is deleting it, or it is gone.
   */
  beginDelete(id: string): Promise<boolean>;
  /** The runner could not be asked: changes `deleting` back to `ready`. */
  abandonDelete(id: string): Promise<void>;
  /** The runner has deleted it. */
  remove(id: string): Promise<void>;
}
