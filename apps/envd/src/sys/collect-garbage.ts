/** Bytes of buffers between two collections. */
const interval = 32 * 1024 * 1024;

let passedBytes = 0;

/**
 * Must be called for each buffer that streams through. The runtime lets hundreds of megabytes of buffers pile up, which
 * a small sandbox does not have. A collection every 32 MiB costs some milliseconds and keeps envd below 200 MB instead
 * of 500.
 */
export function countPassedBytes(sizeBytes: number): void {
  passedBytes += sizeBytes;
  if (passedBytes < interval) return;
  passedBytes = 0;
  Bun.gc(true);
}
