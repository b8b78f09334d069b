import type { Snapshot } from '@soulbox/contract/runner';
import { msFromTimestamp } from './sandbox-facts.ts';

/** What the runner says of a finished snapshot, as the records keep it. */
export function madeFrom(snapshot: Snapshot): { createdAt: number; sizeBytes: number } {
  return { createdAt: msFromTimestamp(snapshot.createdAt), sizeBytes: Number(snapshot.sizeBytes) };
}
