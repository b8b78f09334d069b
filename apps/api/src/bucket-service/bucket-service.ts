/** The process that reads and writes buckets. Sandboxes reach it through the runner. */
export interface BucketService {
  /**
   * Reads a page of the list of a bucket. Throws the error of the store, such as `storage_access_denied`, and
   * `buckets_unavailable` if the service does not answer.
   */
  check(call: { readonly teamId: string; readonly bucketId: string; readonly signal: AbortSignal }): Promise<void>;
}
