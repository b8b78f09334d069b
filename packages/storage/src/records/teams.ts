/** A tenant: owner of keys and sandboxes. E2B's newer texts call it a project. */
export interface TeamRecord {
  /** A UUID. */
  readonly id: string;
  readonly name: string;
  /** True for the team that the first start makes; exactly one has it. */
  readonly isDefault: boolean;
  readonly createdAt: number;
}

export interface TeamRecordsUsage {
  readonly snapshots: number;
  /** Archives for builds. */
  readonly uploadBytes: number;
  /** Values of key-value namespaces. */
  readonly kvBytes: number;
  readonly events: number;
}

/** What keeps a team from being deleted. */
export interface TeamHoldings {
  /** Running, paused, or being made. */
  readonly sandboxes: number;
  readonly snapshots: number;
  readonly templates: number;
  readonly functions: number;
}

export interface TeamRecords {
  /** Throws `name_taken` when the id exists, or when there is a default team already and this is another one. */
  create(team: TeamRecord): Promise<void>;
  find(id: string): Promise<TeamRecord | undefined>;
  findDefault(): Promise<TeamRecord | undefined>;
  /** Oldest first. */
  list(): Promise<TeamRecord[]>;
  /** What a team has in the records and under them. */
  readUsage(id: string): Promise<TeamRecordsUsage>;
  readHoldings(id: string): Promise<TeamHoldings>;
  /**
   * Deletes it with its keys, webhooks, key-value data, history and uploads' rows. False, and nothing done, while it holds anything; it
   * is the default team, which stays; or there is none.
   */
  remove(id: string): Promise<boolean>;
}
