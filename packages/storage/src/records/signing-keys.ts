import type { AuditNote } from './audit.ts';

/**
 * A key with which URLs of a team are signed. Its secret is not in the records: it is derived from the id and a secret
 * of the server.
 */
export interface SigningKeyRecord {
  /** `s` and 12 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  readonly createdAt: number;
  /** From this time on, its signatures are invalid. Undefined for the key that signs. */
  readonly endsAt: number | undefined;
}

type NewSigningKey = Omit<SigningKeyRecord, 'endsAt'>;

/** A change and its `note` are committed together. Without a change, there is no note. */
export interface SigningKeyRecords {
  find(id: string): Promise<SigningKeyRecord | undefined>;
  /** Newest first. */
  list(teamId: string): Promise<SigningKeyRecord[]>;
  /** The newest key that has no end; `wanted` if there is none. */
  ensureActive(wanted: NewSigningKey): Promise<SigningKeyRecord>;
  /**
   * Adds `wanted` as the key that signs. The other keys end at `endsAt` unless they end earlier. False if `limit` keys
   * have not ended at the time of `wanted`.
   */
  rotate(wanted: NewSigningKey, endsAt: number, limit: number, note?: AuditNote): Promise<boolean>;
  /** Ends the key at this time unless it ends earlier. False if the team has no such key. */
  end(teamId: string, id: string, endsAt: number, note?: AuditNote): Promise<boolean>;
  /** Removes keys that ended before, `limit` at most. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
}
