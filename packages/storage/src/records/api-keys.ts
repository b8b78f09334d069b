import type { AuditNote } from './audit.ts';

/** The parts of a key that may be shown after its creation (E2B's `IdentifierMaskingDetails`). */
export interface ApiKeyMask {
  /** `e2b_`. */
  readonly prefix: string;
  /** Number of characters after the prefix. */
  readonly valueLength: number;
  readonly maskedValuePrefix: string;
  readonly maskedValueSuffix: string;
}

/** A key without its value: only its SHA-256 is stored. */
export interface ApiKeyRecord {
  /** A UUID. */
  readonly id: string;
  readonly teamId: string;
  readonly name: string;
  /** SHA-256 of the whole key, 64 hexadecimal digits. */
  readonly hash: string;
  readonly mask: ApiKeyMask;
  readonly createdAt: number;
  /** The isolation of sandboxes and builds that do not specify one; empty: the key decides nothing. */
  readonly isolation: string;
  /** Accurate to a minute; undefined if the key was never used. */
  readonly lastUsedAt: number | undefined;
}

/** With a note, a change and its record in the audit log are committed together; without the change, neither is. */
export interface ApiKeyRecords {
  /** Throws `name_taken` if the id or the hash exists. */
  create(key: ApiKeyRecord, note?: AuditNote): Promise<void>;
  findByHash(hash: string): Promise<ApiKeyRecord | undefined>;
  find(teamId: string, id: string): Promise<ApiKeyRecord | undefined>;
  /** Oldest first. */
  list(teamId: string): Promise<ApiKeyRecord[]>;
  /** False if the team has no such key. */
  rename(teamId: string, id: string, name: string, note?: AuditNote): Promise<boolean>;
  /** False if the team has no such key. */
  remove(teamId: string, id: string, note?: AuditNote): Promise<boolean>;
  /** Records a use; a time before the recorded one changes nothing. */
  touch(id: string, usedAt: number): Promise<void>;
}
