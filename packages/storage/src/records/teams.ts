import type { AuditNote } from './audit.ts';

/** A tenant: the owner of keys and sandboxes. E2B's newer texts call it a project. */
export interface TeamRecord {
  /** A UUID. */
  readonly id: string;
  readonly name: string;
  /** True for the team that the first start creates; exactly one has it. */
  readonly isDefault: boolean;
  readonly createdAt: number;
}

export interface TeamRecordsUsage {
  readonly snapshots: number;
  readonly snapshotBytes: number;
  /** Archives for builds. */
  readonly uploadBytes: number;
  /** Values of key-value namespaces. */
  readonly kvBytes: number;
  readonly events: number;
}

/** Objects that prevent the deletion of a team. */
export interface TeamHoldings {
  /** Running, paused, or being created. */
  readonly sandboxes: number;
  readonly snapshots: number;
  readonly templates: number;
  readonly functions: number;
  /** With those whose contents are still being removed. */
  readonly volumes: number;
}

export interface TeamRecords {
  /** Throws `name_taken` if the id exists, or if there already is a default team and this is a second one. */
  create(team: TeamRecord, note?: AuditNote): Promise<void>;
  find(id: string): Promise<TeamRecord | undefined>;
  findDefault(): Promise<TeamRecord | undefined>;
  /** Oldest first. */
  list(): Promise<TeamRecord[]>;
  /** A team's usage, in the records and in the files that they name. */
  readUsage(id: string): Promise<TeamRecordsUsage>;
  readHoldings(id: string): Promise<TeamHoldings>;
  /**
   * Deletes it with its keys, webhooks, buckets, key-value data, history and rows of uploads. Returns false and does nothing if
   * it still has sandboxes or other holdings, if it is the default team, which stays, or if there is no such team.
   */
  remove(id: string, note?: AuditNote): Promise<boolean>;
}
