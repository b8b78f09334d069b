/** One of a team's key-value stores, with its name. */
export interface KvNamespaceRecord {
  /** 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  readonly name: string;
  readonly createdAt: number;
  readonly keyCount: number;
  /** Size of all values. */
  readonly sizeBytes: number;
}

/** The index entry of a value; the value itself is a blob. */
export interface KvEntry {
  readonly key: string;
  readonly blobKey: string;
  readonly sizeBytes: number;
  /** JSON text. */
  readonly metadata: string | undefined;
  /** The entry does not exist from this time on. */
  readonly expiresAt: number | undefined;
}

export interface KvListQuery {
  readonly prefix: string;
  /** Keys after this one. */
  readonly after: string | undefined;
  readonly limit: number;
  readonly now: number;
}

export interface KvLimits {
  readonly keys: number;
  readonly sizeBytes: number;
  /** For all namespaces of the team. */
  readonly teamBytes: number;
}

/**
 * The index of key-value namespaces. A method that drops entries returns the keys of their blobs, and the caller
 * deletes the blobs afterwards: a crash in between leaves an unreferenced blob.
 */
export interface KvRecords {
  /**
   * The namespace of this name; created from `wanted` if there is none. Undefined if the team already has `limit` of
   * them.
   */
  ensureNamespace(
    wanted: Pick<KvNamespaceRecord, 'id' | 'teamId' | 'name' | 'createdAt'>,
    limit: number,
  ): Promise<KvNamespaceRecord | undefined>;
  /** By name. */
  listNamespaces(teamId: string): Promise<KvNamespaceRecord[]>;
  /** Returns the blobs of its entries; undefined if there is no such namespace. */
  removeNamespace(teamId: string, name: string): Promise<string[] | undefined>;
  get(namespaceId: string, key: string, now: number): Promise<KvEntry | undefined>;
  /**
   * Writes or replaces. `full` if the namespace would exceed its limits, `team_full` if the team would, `gone` if there
   * is no such namespace.
   */
  put(namespaceId: string, entry: KvEntry, limits: KvLimits): Promise<KvPut>;
  /** Returns the blob of the removed entry. */
  remove(namespaceId: string, key: string): Promise<string | undefined>;
  /** In the order of the keys' UTF-8 bytes. */
  list(namespaceId: string, query: KvListQuery): Promise<KvEntry[]>;
  /** Those of `blobKeys` that no entry names. */
  findUnused(blobKeys: readonly string[]): Promise<string[]>;
  /** Removes expired entries, `limit` at most. */
  removeExpired(now: number, limit: number): Promise<string[]>;
}

export type KvPut =
  | { readonly done: true; readonly replaced: string | undefined }
  | { readonly done: false; readonly why: 'full' | 'team_full' | 'gone' };
