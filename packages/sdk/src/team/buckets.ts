import { callApi, callUnlessGone, segment } from '../api.ts';
import type { Schemas } from '../api.ts';
import { connectionFrom } from '../config.ts';
import type { Connection, ConnectionOptions } from '../config.ts';
import { createPaginator } from '../pages.ts';
import type { PageOptions, Paginator } from '../pages.ts';

/** A bucket without its credentials, as the REST API describes it. */
export type BucketInfo = Schemas['Bucket'];

/**
 * The members of a file of credentials for the store: `accessKeyId` and `secretAccessKey` for S3 and R2, `accountKey` or
 * `sasToken` for Azure, the key of a service account for Google (docs/storage.md).
 */
export type BucketCredentials = Readonly<Record<string, string>>;

/** A new bucket. */
export interface NewBucket {
  /** The name, unique in the team: at most 128 letters, digits, `_` and `-`. */
  readonly name: string;
  /** Where it is: `s3://`, `r2://`, `gs://` or `azblob://`, with parameters (docs/storage.md). It cannot be changed. */
  readonly url: string;
  /** Encrypted at rest and never returned. Default: none, the bucket is public. */
  readonly credentials?: BucketCredentials | undefined;
  /** Whether no sandbox can change it. Default: false. */
  readonly readOnly?: boolean | undefined;
}

/** What is changed of a bucket; the rest stays. */
export interface BucketChanges {
  /** Replaces all credentials; null removes them. Default: unchanged. */
  readonly credentials?: BucketCredentials | null | undefined;
  /** Whether no sandbox can change it, also those that have it mounted. Default: unchanged. */
  readonly readOnly?: boolean | undefined;
}

const pathOf = (bucket: string): string => `/buckets/${segment(bucket)}`;

/**
 * Buckets of object stores that sandboxes of the team can have as folders, an addition to e2b 2.51.0. A bucket is named by
 * its id or its name. Changes need a key with the scope `admin`. docs/buckets.md has promises and limits.
 */
export const buckets = {
  /** Makes a bucket known. Errors: `bucket_exists`, `bad_request`, `limit_exceeded`. */
  async create(bucket: NewBucket, options?: ConnectionOptions): Promise<BucketInfo> {
    const { name, url, credentials, readOnly } = bucket;
    const call = { method: 'POST', path: '/buckets', body: { name, url, credentials, readOnly } } as const;
    return (await callApi<BucketInfo>(connectionFrom(options), call)).body;
  },

  /** Returns a bucket by its id or name. Throws `bucket_not_found`. */
  async get(bucket: string, options?: ConnectionOptions): Promise<BucketInfo> {
    return (await callApi<BucketInfo>(connectionFrom(options), { path: pathOf(bucket) })).body;
  },

  /** Lists the buckets of the team, newest first, page by page or with `for await`. */
  list(options: PageOptions & ConnectionOptions = {}): Paginator<BucketInfo> {
    const { limit, nextToken, ...connection } = options;
    const connect = (): Connection => connectionFrom(connection);
    return createPaginator(connect, { path: '/buckets' }, { limit, nextToken }, (entry: BucketInfo) => entry);
  },

  /**
   * Replaces credentials, or allows or forbids writes. Sandboxes that have it mounted follow within ten seconds.
   * Errors: `bucket_not_found`, `bad_request`.
   */
  async update(bucket: string, changes: BucketChanges, options?: ConnectionOptions): Promise<BucketInfo> {
    const { credentials, readOnly } = changes;
    const call = { method: 'PATCH', path: pathOf(bucket), body: { credentials, readOnly } } as const;
    return (await callApi<BucketInfo>(connectionFrom(options), call)).body;
  },

  /**
   * Asks the store for a page of its list. Errors: `bucket_not_found`, `storage_access_denied`, `storage_not_found`,
   * `storage_throttled`, `storage_unavailable`.
   */
  async check(bucket: string, options?: ConnectionOptions): Promise<void> {
    await callApi(connectionFrom(options), { method: 'POST', path: `${pathOf(bucket)}/check` });
  },

  /**
   * Forgets a bucket and its credentials; nothing in the store is changed. False if it does not exist. Throws
   * `bucket_in_use` while a sandbox has it mounted.
   */
  async delete(bucket: string, options?: ConnectionOptions): Promise<boolean> {
    return await callUnlessGone(connectionFrom(options), { method: 'DELETE', path: pathOf(bucket) });
  },
};
