/** `making`: the runner was asked. `deleting`: it is hidden, and the runner is asked until it has forgotten it too. */
export type SnapshotState = 'making' | 'ready' | 'deleting';

/** A kept state of a sandbox, usable as a template by its team. */
export interface SnapshotRecord {
  /** The runner's, and E2B's template id of an unnamed one. Of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** What it was made of; that may be gone. */
  readonly sandboxId: string;
  /** Of the sandbox that it was made of. */
  readonly templateId: string;
  /** Lower case, within the team; empty for an unnamed one. */
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
  /** On the host's disk; 0 while it is made. */
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
   * Writes the intent (state `making`) unless the team has `limit` snapshots, intents included; then gives false. Count and
   * write are one step. Throws `name_taken` for an id that exists.
   */
  begin(snapshot: Omit<SnapshotRecord, 'state' | 'sizeBytes'>, limit: number): Promise<boolean>;
  /**
   * Turns the intent into a ready snapshot and writes the event, in one step. Ready ones of the same name and tag lose their
   * place and become `deleting`: their ids are given. Undefined when there is no such intent.
   */
  complete(id: string, made: { createdAt: number; sizeBytes: number }): Promise<string[] | undefined>;
  /** A snapshot that the runner has and no row knows, as a ready one. False when its id is known or its team is not. */
  adopt(snapshot: Omit<SnapshotRecord, 'state'>): Promise<boolean>;
  /** The team's ready snapshot of this id. */
  findById(teamId: string, id: string): Promise<SnapshotRecord | undefined>;
  /** The team's ready snapshot of this name and tag. */
  findByName(teamId: string, name: string, tag: string): Promise<SnapshotRecord | undefined>;
  list(query: SnapshotListQuery): Promise<SnapshotPage>;
  /** Of all teams and states: what the runner's own list is compared with. */
  listAll(): Promise<SnapshotRecord[]>;
  /** `making` or `ready` becomes `deleting`. False when it was not one of them: somebody else is at it, or it is gone. */
  beginDelete(id: string): Promise<boolean>;
  /** The runner could not be asked: `deleting` becomes `ready` again. */
  abandonDelete(id: string): Promise<void>;
  /** The runner has forgotten it. */
  remove(id: string): Promise<void>;
}
