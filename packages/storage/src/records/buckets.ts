import type { AuditNote } from './audit.ts';

/** A bucket of an object store that a team has made known, without its credentials. */
export interface BucketRecord {
  /** `b` and 20 characters of `[a-z0-9]`. */
  readonly id: string;
  readonly teamId: string;
  /** Unique in the team. */
  readonly name: string;
  /** A storage URL, which has no credentials. It never changes. */
  readonly url: string;
  /** False: requests are anonymous. */
  readonly hasCredentials: boolean;
  /** No sandbox may write to it. */
  readonly isReadOnly: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A new bucket. Empty credentials: it has none. Others are encrypted by the writer. */
export type NewBucket = Omit<BucketRecord, 'hasCredentials'> & { readonly sealedCredentials: string };

export interface BucketPosition {
  readonly createdAt: number;
  readonly id: string;
}

export interface BucketListQuery {
  readonly teamId: string;
  /** Position of the last bucket on the previous page. */
  readonly after: BucketPosition | undefined;
  readonly limit: number;
}

export interface BucketPage {
  /** Newest first. */
  readonly buckets: BucketRecord[];
  /** Undefined on the last page. */
  readonly next: BucketPosition | undefined;
}

export interface BucketChange {
  readonly teamId: string;
  readonly id: string;
  /** Undefined: they stay. Empty: it has none any more. */
  readonly sealedCredentials: string | undefined;
  /** Undefined: unchanged. */
  readonly isReadOnly: boolean | undefined;
  readonly now: number;
}

/** A change and its `note` are committed together. Without a change, there is no note. */
export interface BucketRecords {
  /** Of the team, `limit` at most. */
  create(bucket: NewBucket, limit: number, note?: AuditNote): Promise<'created' | 'name_taken' | 'limit_reached'>;
  findById(teamId: string, id: string): Promise<BucketRecord | undefined>;
  findByName(teamId: string, name: string): Promise<BucketRecord | undefined>;
  list(query: BucketListQuery): Promise<BucketPage>;
  /** Returns the bucket after the change; undefined if the team has no such bucket. */
  change(change: BucketChange, note?: AuditNote): Promise<BucketRecord | undefined>;
  /** The encrypted credentials, empty if it has none. Undefined if the team has no such bucket. */
  findSealedCredentials(teamId: string, id: string): Promise<string | undefined>;
  /** False if the team has no such bucket. */
  remove(teamId: string, id: string, note?: AuditNote): Promise<boolean>;
}
