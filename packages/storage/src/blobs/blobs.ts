/**
 * Large objects under names. A blob is written once, as a whole: readers see the old content or the new one, never a
 * part, and a blob whose `put` has returned survives a crash.
 *
 * Keys are 1 to 200 characters: parts of `[A-Za-z0-9._-]` that begin with a letter or digit, joined by `/`. Others are
 * a `bad_request`.
 */
export interface BlobStore extends AsyncDisposable {
  /** Writes a blob from a stream. If the stream throws, nothing is written. Throws `disk_full`. */
  put(key: string, content: AsyncIterable<Uint8Array>): Promise<BlobInfo>;
  /** Turns a local file into a blob. The file is gone afterwards: a backend on the same file system renames it. */
  putFile(key: string, path: string): Promise<BlobInfo>;
  /**
   * The content, or the part of it within `range`; undefined if there is no such blob. The stream can be read to the
   * end whatever happens to the blob meanwhile; a caller that does not read it to the end must destroy it.
   */
  read(key: string, range?: ByteRange): Promise<BlobStream | undefined>;
  stat(key: string): Promise<BlobInfo | undefined>;
  /** All blobs whose key begins with `prefix`, sorted by key. The empty prefix means all. */
  list(prefix: string): Promise<readonly BlobInfo[]>;
  /**
   * Copies every blob whose key begins with `prefix` into the store of files in `directory`, and returns their keys. If
   * both are on one file system, no data is copied. A blob that is deleted meanwhile may be missing.
   */
  copyInto(directory: string, prefix: string): Promise<readonly string[]>;
  /** Does nothing if there is no such blob. */
  delete(key: string): Promise<void>;
}

export interface BlobInfo {
  readonly key: string;
  readonly sizeBytes: number;
}

/** The part of the range beyond the end is left out, without an error. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface BlobStream extends AsyncIterable<Uint8Array> {
  destroy(): void;
}
