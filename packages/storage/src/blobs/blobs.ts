/**
 * Large things under names. A blob is written once, as a whole: readers see the old content or the new one, never a part, and
 * what `put` has answered survives a crash.
 *
 * Keys are 1 to 200 characters: parts of `[A-Za-z0-9._-]` that begin with a letter or digit, joined by `/`. Others are a
 * `bad_request`.
 */
export interface BlobStore extends AsyncDisposable {
  /** Writes a blob from a stream. When the stream throws, nothing is written. Throws `disk_full`. */
  put(key: string, content: AsyncIterable<Uint8Array>): Promise<BlobInfo>;
  /** Makes a local file a blob. The file is gone afterwards: a backend on the same file system renames it. */
  putFile(key: string, path: string): Promise<BlobInfo>;
  /**
   * The content, or the part of it that lies in `range`; undefined when there is no such blob. The stream goes on to the end
   * whatever happens to the blob meanwhile; who does not read it to the end destroys it.
   */
  read(key: string, range?: ByteRange): Promise<BlobStream | undefined>;
  stat(key: string): Promise<BlobInfo | undefined>;
  /** All blobs whose key begins with `prefix`, by key. The empty prefix means all. */
  list(prefix: string): Promise<readonly BlobInfo[]>;
  /**
   * Makes every blob whose key begins with `prefix` one of the store of files in `directory`, too, and gives their keys; without
   * copying where both are on one file system. One that is deleted meanwhile may be left out.
   */
  copyInto(directory: string, prefix: string): Promise<readonly string[]>;
  /** Nothing happens when there is none. */
  delete(key: string): Promise<void>;
}

export interface BlobInfo {
  readonly key: string;
  readonly sizeBytes: number;
}

/** What lies beyond the end is left out, without an error. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface BlobStream extends AsyncIterable<Uint8Array> {
  destroy(): void;
}
