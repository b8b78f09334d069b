import type { BlobStream, ByteRange } from '../blobs/blobs.ts';

/**
 * Objects of a bucket, a container or a folder, below one prefix. Every call ends within its limits of time: it is
 * repeated with random waits while the store is away, and then fails. All errors are SoulBoxErrors; those of the store
 * have a reason `storage_*`. An aborted call rejects with the reason of its signal.
 *
 * Keys are 1 to 1024 bytes of UTF-8, the prefix included: see `checkObjectKey`.
 */
export interface ObjectStore extends AsyncDisposable {
  /** As configured. It contains no credentials. */
  readonly url: string;
  /**
   * Writes an object as a whole: readers see the old content or the new one. A stream is uploaded in parts in constant
   * memory. If it throws, or if its size or digest is not the given one, nothing is written.
   */
  put(key: string, content: Uint8Array | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<WrittenObject>;
  /** Throws `storage_not_found`. Connections that break are opened again where they broke. */
  get(key: string, options?: GetOptions): Promise<OpenObject>;
  stat(key: string, options?: CallOptions): Promise<ObjectInfo | undefined>;
  /** Does nothing if there is no such object. */
  delete(key: string, options?: CallOptions): Promise<void>;
  /**
   * A page of the objects, sorted by the bytes of their keys. Only characters beyond U+FFFF may have another place: some
   * stores sort by UTF-16.
   */
  list(query?: ListQuery): Promise<ObjectPage>;
  /** Copies within the store. Throws `storage_not_found`. */
  copy(from: string, to: string, options?: CallOptions): Promise<WrittenObject>;
  /** A URL with which anyone can read the object until it expires. Throws `storage_unsupported` for local disk. */
  signGet(key: string, options: SignOptions): Promise<string>;
  /** A URL to which anyone can `PUT` the object until it expires, with the headers that are returned. */
  signPut(key: string, options: SignOptions): Promise<SignedPut>;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** `absent`: only if there is no such object. Otherwise only if the object has this version. */
export type WriteCondition = 'absent' | { readonly version: string };

export interface PutOptions extends CallOptions {
  /** If it does not hold, `storage_precondition_failed` is thrown and nothing is written. */
  readonly condition?: WriteCondition | undefined;
  /** Verified. For objects of more than 78 GiB it is necessary: it determines the size of the parts. */
  readonly sizeBytes?: number | undefined;
  /** In hexadecimal form, verified before the object appears. */
  readonly sha256?: string | undefined;
}

export interface GetOptions extends CallOptions {
  /** The part of it beyond the end is left out, without an error. */
  readonly range?: ByteRange | undefined;
  /** Throws `storage_precondition_failed` if the object has another version. */
  readonly version?: string | undefined;
  /** Of the whole object, in hexadecimal form. On a mismatch the stream throws `storage_damaged` instead of its last bytes. */
  readonly sha256?: string | undefined;
}

export interface WrittenObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** Opaque. Another one after each write. */
  readonly version: string;
}

export interface ObjectInfo extends WrittenObject {
  readonly modifiedAt: Date;
}

export interface OpenObject {
  /** Of the whole object, also if a range is read. */
  readonly info: ObjectInfo;
  /** Can be read once. A caller that does not read it to the end must destroy it. */
  readonly body: BlobStream;
}

export interface ListQuery extends CallOptions {
  /** Any beginning of keys, also in the middle of a part. */
  readonly prefix?: string | undefined;
  /** From the page before. Valid for the same query only. */
  readonly cursor?: string | undefined;
  /** 1 to 1000, which is the default. Pages can be shorter before the end. */
  readonly limit?: number | undefined;
  /** Whether keys that have a `/` after the prefix are combined into `folders`. */
  readonly combinesFolders?: boolean | undefined;
}

export interface ObjectPage {
  readonly objects: readonly ObjectInfo[];
  /** Each ends with `/`. Empty unless the query combines folders. */
  readonly folders: readonly string[];
  /** Absent on the last page. */
  readonly cursor?: string | undefined;
}

export interface SignOptions extends CallOptions {
  /** 1 to 604800, which is a week. */
  readonly expiresSeconds: number;
}

export interface SignedPut {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Of all stores. */
export const objectLimits = { pageSize: 1000, signedSeconds: 604_800, keyBytes: 1024 } as const;
