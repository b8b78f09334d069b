/** What may be shown of a key after its creation (E2B's `IdentifierMaskingDetails`). */
export interface ApiKeyMask {
  /** `e2b_`. */
  readonly prefix: string;
  /** Characters behind the prefix. */
  readonly valueLength: number;
  readonly maskedValuePrefix: string;
  readonly maskedValueSuffix: string;
}

/** A key without its value: only the SHA-256 of it is kept. */
export interface ApiKeyRecord {
  /** A UUID. */
  readonly id: string;
  readonly teamId: string;
  readonly name: string;
  /** SHA-256 of the whole key, 64 hexadecimal digits. */
  readonly hash: string;
  readonly mask: ApiKeyMask;
  readonly createdAt: number;
  /** What walls off sandboxes and builds that do not say it themselves; empty: nothing is decided by the key. */
  readonly isolation: string;
  /** True to a minute; undefined while the key was never used. */
  readonly lastUsedAt: number | undefined;
}

export interface ApiKeyRecords {
  /** Throws `name_taken` when the id or the hash exists. */
  create(key: ApiKeyRecord): Promise<void>;
  findByHash(hash: string): Promise<ApiKeyRecord | undefined>;
  find(teamId: string, id: string): Promise<ApiKeyRecord | undefined>;
  /** Oldest first. */
  list(teamId: string): Promise<ApiKeyRecord[]>;
  /** False when the team has no such key. */
  rename(teamId: string, id: string, name: string): Promise<boolean>;
  /** False when the team has no such key. */
  remove(teamId: string, id: string): Promise<boolean>;
  /** Notes a use; an earlier time than the noted one changes nothing. */
  touch(id: string, usedAt: number): Promise<void>;
}
