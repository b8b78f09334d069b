import type { AuditNote } from './audit.ts';

/** A token with which programs act for a user. Only its HMAC is stored. */
export interface PersonalTokenRecord {
  /** A UUID, which is no secret. */
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly hash: string;
  readonly userId: string;
  readonly name: string;
  /** The last characters of the value, for lists. */
  readonly suffix: string;
  /** A program got it from a person with a browser: it is a kind of sign-in, and ends with a sign-out everywhere. */
  readonly isOfProgram: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Accurate to a minute; undefined if it was never used. */
  readonly lastUsedAt: number | undefined;
}

export interface PersonalTokenRecords {
  /**
   * Removes the expired tokens of the user. Writes nothing if `limit` others remain, or if the user no longer has the
   * session `sessionId`, which gives the token its session at the provider. The `notes` are committed
   * together with the token.
   */
  create(
    token: PersonalTokenRecord,
    limit: number,
    sessionId?: string,
    notes?: readonly AuditNote[],
  ): Promise<'created' | 'limit_reached' | 'session_ended'>;
  findByHash(hash: string): Promise<PersonalTokenRecord | undefined>;
  find(id: string): Promise<PersonalTokenRecord | undefined>;
  /** Newest first. */
  list(userId: string): Promise<PersonalTokenRecord[]>;
  /** A time before the recorded one changes nothing. */
  touch(id: string, usedAt: number): Promise<void>;
  /** False if the user has no such token. */
  remove(userId: string, id: string): Promise<boolean>;
  /** Removes those that expired before this time, `limit` at most. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
}
