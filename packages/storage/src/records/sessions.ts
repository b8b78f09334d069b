import type { AuditNote } from './audit.ts';

/** A browser in which a user is signed in. The cookie has the secret; only its HMAC is stored. */
export interface SessionRecord {
  /** A UUID, which is no secret. */
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly hash: string;
  readonly userId: string;
  readonly createdAt: number;
  /** Accurate to a minute. */
  readonly seenAt: number;
  readonly expiresAt: number;
  /** The name of the session at the provider. Empty if the provider told none. */
  readonly providerSid: string;
}

export interface EndOptions {
  /**
   * Not empty: ends only what belongs to this session at the provider, and what belongs to none, for which the provider
   * told no name.
   */
  readonly providerSid?: string | undefined;
  readonly notes?: readonly AuditNote[];
}

/** How many. */
export interface Ended {
  readonly sessions: number;
  readonly tokens: number;
}

export interface SessionRecords {
  /**
   * Ends the oldest sessions of the user if there are more than `keep` now. The `notes` are committed together with
   * the session.
   */
  create(session: SessionRecord, keep: number, notes?: readonly AuditNote[]): Promise<void>;
  findByHash(hash: string): Promise<SessionRecord | undefined>;
  find(id: string): Promise<SessionRecord | undefined>;
  /** A time before the recorded one changes nothing. */
  touch(id: string, seenAt: number): Promise<void>;
  remove(id: string): Promise<boolean>;
  /**
   * Ends all sessions of the user and removes the tokens that programs have got from them, in one step, together with
   * the `notes` if there was any.
   */
  endOfUser(userId: string, options?: EndOptions): Promise<Ended>;
  /** The users with a session, or with a token of a program, of this session at the provider. */
  findUsers(providerSid: string): Promise<string[]>;
  /** Removes those that expired before this time, `limit` at most. Returns their number. */
  purge(before: number, limit: number): Promise<number>;
}
