import type { Snapshot } from '@soulbox/contract/runner';
import { msFromTimestamp } from './sandbox-facts.ts';

/** The runner's facts about a finished snapshot, in the form of the records. */
export function madeFrom(snapshot: Snapshot): { createdAt: number; sizeBytes: number } {
  return { createdAt: msFromTimestamp(snapshot.createdAt), sizeBytes: Number(snapshot.sizeBytes) };
}
