import type { AuditNote } from './audit.ts';

/** A person who signs in at the identity provider. */
export interface UserRecord {
  /** A UUID. */
  readonly id: string;
  /** The provider and its name for the person; both empty until the person has signed in for the first time. */
  readonly issuer: string;
  readonly subject: string;
  /** In lower case. */
  readonly email: string;
  /** Empty if the provider tells none. */
  readonly name: string;
  readonly createdAt: number;
  readonly lastSignInAt: number | undefined;
}

/** What the provider says about a person at a sign-in. */
export interface SignInFacts {
  readonly issuer: string;
  readonly subject: string;
  readonly email: string;
  readonly name: string;
  readonly at: number;
}

export interface UserRecords {
  /** Writes nothing if an unbound user has this address, if the subject exists, or if there are `limit` users. */
  create(user: UserRecord, limit: number, note?: AuditNote): Promise<'created' | 'user_exists' | 'limit_reached'>;
  find(id: string): Promise<UserRecord | undefined>;
  findBySubject(issuer: string, subject: string): Promise<UserRecord | undefined>;
  /** A user who was added with this address and has not signed in yet. */
  findUnbound(email: string): Promise<UserRecord | undefined>;
  /**
   * Records a sign-in, and binds a user who has no subject yet to this one. False if the user is gone, or is bound to
   * another subject.
   */
  noteSignIn(id: string, facts: SignInFacts): Promise<boolean>;
  /** Oldest first. */
  list(): Promise<UserRecord[]>;
  /** Also removes the user's memberships, sessions and personal tokens. False if there is no such user. */
  remove(id: string, notes?: readonly AuditNote[]): Promise<boolean>;
}
