import type { ExportBlock } from './read.ts';

/** Whether a block is the one that the manifest names. Digests in a thread pool: 1 MiB takes most of a millisecond. */
export async function isIntact({ place, bytes }: ExportBlock): Promise<boolean> {
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(bytes));
  return bytes.length === place.length && Buffer.from(digest).toString('hex') === place.digest;
}
