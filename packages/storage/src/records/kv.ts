/** A team's key-value store of one name. */
export interface KvNamespaceRecord {
  /** 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  readonly name: string;
  readonly createdAt: number;
  readonly keyCount: number;
  /** Of all values. */
  readonly sizeBytes: number;
}

/** What is known of a value; the value itself is a blob. */
export interface KvEntry {
  readonly key: string;
  readonly blobKey: string;
  readonly sizeBytes: number;
  /** JSON text. */
  readonly metadata: string | undefined;
  /** From then on it is not there. */
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
  /** Of all namespaces of the team. */
  readonly teamBytes: number;
}

/**
 * The index of key-value namespaces. Whoever drops an entry is given the key of its blob and deletes that afterwards: a crash between
 * leaves a blob that nobody names.
 */
export interface KvRecords {
  /** The namespace of this name; made of `wanted` when there is none. Undefined when the team has `limit` of them. */
  ensureNamespace(
    wanted: Pick<KvNamespaceRecord, 'id' | 'teamId' | 'name' | 'createdAt'>,
    limit: number,
  ): Promise<KvNamespaceRecord | undefined>;
  /** By name. */
  listNamespaces(teamId: string): Promise<KvNamespaceRecord[]>;
  /** The blobs of its entries; undefined when there is no such namespace. */
  removeNamespace(teamId: string, name: string): Promise<string[] | undefined>;
  get(namespaceId: string, key: string, now: number): Promise<KvEntry | undefined>;
  /** Writes or replaces. `full` when the namespace would exceed its limits, `team_full` when the team would, `gone` when there is none. */
  put(namespaceId: string, entry: KvEntry, limits: KvLimits): Promise<KvPut>;
  /** The blob of what was there. */
  remove(namespaceId: string, key: string): Promise<string | undefined>;
  /** In the order of the keys' UTF-8 bytes. */
  list(namespaceId: string, query: KvListQuery): Promise<KvEntry[]>;
  /** Those of `blobKeys` that no entry names. */
  findUnused(blobKeys: readonly string[]): Promise<string[]>;
  /** Drops what has expired, `limit` at most. */
  removeExpired(now: number, limit: number): Promise<string[]>;
}

export type KvPut =
  | { readonly done: true; readonly replaced: string | undefined }
  | { readonly done: false; readonly why: 'full' | 'team_full' | 'gone' };
