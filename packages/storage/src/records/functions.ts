/** What a function may use. */
export interface FunctionLimits {
  readonly requestTimeoutMs: number;
  readonly memoryMb: number;
  readonly maxBodyBytes: number;
  /** Without a request for this long it sleeps. */
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
  readonly environment: Readonly<Record<string, string>>;
  /** By name, encrypted by who writes them. */
  readonly sealedSecrets: Readonly<Record<string, string>>;
  /** Names of the team's key-value namespaces by the name that the code uses. */
  readonly kvBindings: Readonly<Record<string, string>>;
  readonly limits: FunctionLimits;
  readonly compatibilityDate: string;
  readonly compatibilityFlags: readonly string[];
  /** The version that is served. */
  readonly activeVersion: number;
  /** The sandbox that serves it, whatever has become of it; undefined when there was none since the last start of another. */
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
  /** Of any team. */
  find(name: string): Promise<FunctionRecord | undefined>;
  /** By name. */
  list(teamId: string): Promise<FunctionRecord[]>;
  /** Replaces it, and adds the version, if one is given, in one step. False when it is gone. */
  save(record: FunctionRecord, version?: FunctionVersionRecord): Promise<boolean>;
  setSandbox(id: string, sandboxId: string | undefined): Promise<void>;
  /** Its versions go with it. */
  remove(id: string): Promise<void>;
  /** The newest first. */
  listVersions(id: string): Promise<FunctionVersionRecord[]>;
  /** Forgets all but the `keep` newest and the active one. Gives digests that no version of any function has any more. */
  pruneVersions(id: string, keep: number): Promise<string[]>;
  /** Those of `digests` that no version has. */
  findUnused(digests: readonly string[]): Promise<string[]>;
  /** The sandbox of every function that has one. */
  listSandboxIds(): Promise<string[]>;
}
