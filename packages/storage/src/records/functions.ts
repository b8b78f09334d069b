/** The resources that a function may use. */
export interface FunctionLimits {
  readonly requestTimeoutMs: number;
  readonly memoryMb: number;
  readonly maxBodyBytes: number;
  /** It sleeps after this time without a request. */
  readonly idleSeconds: number;
}

/** A tenant's code under a name of its own, served from one sandbox. */
export interface FunctionRecord {
  /** 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Unique on the server: it is part of a host name. */
  readonly name: string;
  readonly kind: 'workers' | 'edge';
  /** Its variables, encrypted by the writer. */
  readonly sealedEnvironment: string;
  /** By name, encrypted by the writer. */
  readonly sealedSecrets: Readonly<Record<string, string>>;
  /** Names of the team's key-value namespaces, by the name that the code uses. */
  readonly kvBindings: Readonly<Record<string, string>>;
  readonly limits: FunctionLimits;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** The version that is served. */
  readonly activeVersion: number;
  /** The sandbox that serves it, in whatever state; undefined until the first one has started. */
  readonly sandboxId: string | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface FunctionVersionRecord {
  readonly functionId: string;
  /** From 1 on. */
  readonly number: number;
  /** SHA-256 of the bundle in hexadecimal digits; the blob's name. */
  readonly digest: string;
  readonly sizeBytes: number;
  readonly createdAt: number;
}

export interface FunctionRecords {
  /** Writes a function and its first version in one step. */
  create(
    record: FunctionRecord,
    version: FunctionVersionRecord,
    limit: number,
  ): Promise<'created' | 'name_taken' | 'limit_reached'>;
  /** Finds a function of any team. */
  find(name: string): Promise<FunctionRecord | undefined>;
  /** By name. */
  list(teamId: string): Promise<FunctionRecord[]>;
  /** Replaces it, and adds the version, if one is given, in one step. False if it is gone. */
  save(record: FunctionRecord, version?: FunctionVersionRecord): Promise<boolean>;
  setSandbox(id: string, sandboxId: string | undefined): Promise<void>;
  /** Also removes its versions. */
  remove(id: string): Promise<void>;
  /** Newest first. */
  listVersions(id: string): Promise<FunctionVersionRecord[]>;
  /**
   * Removes all versions but the `keep` newest and the active one. Returns digests that no version of any function has
   * any more.
   */
  pruneVersions(id: string, keep: number): Promise<string[]>;
  /** Those of `digests` that no version has. */
  findUnused(digests: readonly string[]): Promise<string[]>;
  /** The sandbox of every function that has one. */
  listSandboxIds(): Promise<string[]>;
}
